"""Whatever bytes a file holds, reading it gives a sound volume or one sentence: no crash, hang or huge memory.

`fuzzing.py` says how to search longer.
"""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from support.fuzzing import bounded_memory, fuzz, mutated, mutations
from support.volume_files import save_nifti, small_image

from SegSRGANLib.io.volume import VolumeError, read_labels, read_volume

__all__ = ["bounded_memory"]  # a fixture that holds for every test here


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Sound files of every kind; voxels of the two detached headers lie beside them."""
    folder = tmp_path_factory.mktemp("fuzz")
    save_nifti(folder / "v.nii")
    (folder / "v.nii.gz").write_bytes(gzip.compress((folder / "v.nii").read_bytes(), mtime=0))
    for name, compressed in (("raw.nrrd", 0), ("v.nrrd", 1), ("raw.mha", 0), ("v.mha", 1), ("d.nhdr", 1), ("e.mhd", 1)):
        sitk.WriteImage(small_image(), str(folder / name), useCompression=bool(compressed))
    return folder


def _is_read_or_refused(path: Path) -> None:
    """The property: a sound volume, or one sentence that names the file."""
    for read in (read_volume, read_labels):
        try:
            image = read(path)
        except VolumeError as error:
            assert path.name in str(error)
            assert "\n" not in str(error)
            continue
        values = sitk.GetArrayViewFromImage(image)
        axes = np.array(image.GetDirection()).reshape(3, 3)
        assert image.GetDimension() == 3 and min(image.GetSize()) >= 2
        assert np.isfinite(values).all() and values.any()
        assert np.isfinite(image.GetOrigin()).all() and min(image.GetSpacing()) > 0
        np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-8)


def _try(folder: Path, name: str, content: bytes) -> None:
    path = folder / f"mutated-{name}"
    path.write_bytes(content)
    _is_read_or_refused(path)


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz", "raw.nrrd", "v.nrrd", "raw.mha", "v.mha", "d.nhdr", "e.mhd"])
@fuzz
@given(changes=mutations)
def test_mutated_bytes(folder, name, changes):
    _try(folder, name, mutated((folder / name).read_bytes(), changes))


@fuzz
@given(changes=mutations)
def test_mutated_nifti_with_a_sound_checksum(folder, changes):
    _try(folder, "sound.nii.gz", gzip.compress(mutated((folder / "v.nii").read_bytes(), changes), 1, mtime=0))


# Byte and format of each number of a NIfTI-1 header that says something about size, type, scale or place.
FIELDS = [(0, "i"), (123, "B"), *((o, "h") for o in (*range(40, 56, 2), 70, 72, 252, 254))]
FIELDS += [(o, "f") for o in (*range(76, 108, 4), 108, 112, 116, *range(256, 328, 4))]
wild_integers = st.one_of(st.integers(-(2**31), 2**31 - 1), st.sampled_from([-1, 0, 1, 2, 3, 4, 5, 348, 32767, -32768]))
wild_floats = st.one_of(
    st.floats(width=32), st.sampled_from([0.0, -0.0, 1e-38, 1e38, 352.0, 351.5, 353.0, 400.0, 2e9, float("nan")])
)


@fuzz
@given(changes=st.lists(st.tuples(st.sampled_from(FIELDS), wild_integers, wild_floats), min_size=1, max_size=4))
def test_wild_numbers_in_a_nifti_header(folder, changes):
    content = bytearray((folder / "v.nii").read_bytes())
    for (offset, code), integer, real in changes:
        value = real if code == "f" else integer
        if code != "f":  # wraps around, as a writer's overflow would
            bits = 8 * struct.calcsize(code)
            value = integer % 2**bits - (2**bits if code != "B" and integer % 2**bits >= 2 ** (bits - 1) else 0)
        struct.pack_into(f"<{code}", content, offset, value)
    _try(folder, "wild.nii", bytes(content))


wild_words = st.one_of(
    st.integers(-(2**64), 2**64).map(str),
    st.floats().map(repr),
    st.sampled_from(
        ["", "0", "-1", "1e400", "nan", "none", "(1,0,0)", "True", "LOCAL", "LIST", "%d", "raw", "gzip", "x" * 600]
    ),
    st.text(st.characters(max_codepoint=255), max_size=10),
)


@pytest.mark.parametrize("name", ["raw.nrrd", "v.nrrd", "raw.mha", "v.mha", "d.nhdr", "e.mhd"])
@fuzz
@given(changes=st.lists(st.tuples(st.integers(0, 80), wild_words), min_size=1, max_size=3))
def test_wild_words_in_a_text_header(folder, name, changes):
    content = (folder / name).read_bytes()
    end = content.find(b"\n\n") + 1 if name.endswith(("nrrd", "nhdr")) else content.find(b"LOCAL") + 6
    end = end if end > 6 else len(content)
    words = content[:end].decode("latin-1").split(" ")
    for place, word in changes:
        words[place % len(words)] = word
    _try(folder, name, " ".join(words).encode("latin-1", "replace") + content[end:])


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"])
@fuzz
@given(content=st.binary(max_size=2000))
def test_any_bytes(folder, suffix, content):
    _try(folder, f"any{suffix}", content)
