"""Volumes packed for a machine without SimpleITK."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from SegSRGANLib.training.data.packing import pack_table
from SegSRGANLib.training.data.volume_pack import PackedVolume, read_pack, write_pack
from SegSRGANLib.utils.errors import DataError

RNG = np.random.default_rng(0)


def _volume(name: str, intensity: bool, **facts: object) -> PackedVolume:
    shape = (9, 11, 13)
    values = RNG.uniform(0, 1.5, shape).astype(np.float32) if intensity else None
    return PackedVolume(name, values, RNG.integers(0, 11, shape).astype(np.uint8), 0.8, **facts)


def test_what_was_packed_comes_back(tmp_path: Path) -> None:
    volumes = [_volume("a", True, weight=3.0, held_out=True), _volume("b", False, averaged=True)]
    write_pack(tmp_path / "pack.zip", volumes)
    for before, after in zip(volumes, read_pack(tmp_path / "pack.zip"), strict=True):
        np.testing.assert_array_equal(after.labels, before.labels)
        assert (after.name, after.weight, after.averaged, after.held_out) == (
            before.name,
            before.weight,
            before.averaged,
            before.held_out,
        )
        if before.intensity is None:
            assert after.intensity is None
        else:
            np.testing.assert_allclose(after.intensity, before.intensity, atol=0.5 * 1.5 / 1023 + 1e-6)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_another_file_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pack.zip").write_bytes(content)
    with pytest.raises(ValueError, match="is not a pack of training volumes"):
        read_pack(tmp_path / "pack.zip")


def _table(folder: Path, rows: list[str]) -> Path:
    labels = np.zeros((20, 22, 24), np.uint8)
    labels[5:15, 6:16, 7:17] = 5
    image = (labels * 100.0 + 1).astype(np.float32)
    for name, array in (("x_dseg", labels), ("x_T2w", image)):
        volume = sitk.GetImageFromArray(array)
        volume.SetSpacing((0.8,) * 3)
        sitk.WriteImage(volume, str(folder / f"{name}.nii.gz"))
    table = folder / "table.csv"
    table.write_text("\n".join(["HR_image,Label_image,Fold,Weight,Averaged", *rows]) + "\n")
    return table


def test_a_table_becomes_a_pack_with_its_fold_held_out(tmp_path: Path) -> None:
    table = _table(tmp_path, ["x_T2w.nii.gz,x_dseg.nii.gz,1,2.5,0", ",x_dseg.nii.gz,0,0.5,1"])
    assert pack_table(table, tmp_path / "pack.zip", "1") == (tmp_path / "pack.zip").stat().st_size
    scan, labels = read_pack(tmp_path / "pack.zip")
    assert scan.held_out and not labels.held_out and labels.averaged and labels.intensity is None
    assert scan.intensity is not None and scan.intensity.max() == pytest.approx(1.0, abs=0.01)
    assert (scan.labels == 5).sum() == 1000 and min(labels.labels.shape) == 14  # the box and two voxels around it


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("x_T2w.nii.gz,x_dseg.nii.gz,1,-1,0", "weight of x_dseg.nii.gz must be a positive number, not '-1'"),
        ("x_T2w.nii.gz,x_dseg.nii.gz,1,many,0", "must be a positive number, not 'many'"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_left(tmp_path: Path, row: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        pack_table(_table(tmp_path, [row]), tmp_path / "pack.zip")
    assert not (tmp_path / "pack.zip").exists()


def test_a_table_without_a_column_is_refused(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("HR_image,Label_image\na,b\n")
    with pytest.raises(DataError, match="lacks the column Fold"):
        pack_table(tmp_path / "table.csv", tmp_path / "pack.zip")
