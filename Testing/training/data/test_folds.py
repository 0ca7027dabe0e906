"""Folds, surroundings and brain masks in the training on a CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from SegSRGANLib.training.data.augmentation import AugmentationConfig
from SegSRGANLib.training.data.loading import _tissues
from SegSRGANLib.training.data.patch_simulation import SimulationConfig, simulate_patch
from SegSRGANLib.training.data.splits import read_cases
from SegSRGANLib.training.data.subject import Subject
from SegSRGANLib.utils.errors import DataError

ROOT = Path(__file__).parents[3]


def _table(folder: Path) -> str:
    for name in ("sub-1_T2w", "sub-1_dseg", "sub-2_T2w", "sub-2_dseg", "sub-3_dseg"):
        (folder / f"{name}.nii").touch()
    lines = ["HR_image,Label_image,Fold,Weight,Averaged", "sub-1_T2w.nii,sub-1_dseg.nii,1,3,0"]
    lines += ["sub-2_T2w.nii,sub-2_dseg.nii,0,0.5,1", ",sub-3_dseg.nii,0,1,0"]
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    return str(folder / "table.csv")


def test_the_held_out_fold_is_tested_on_and_labels_alone_are_left_out(tmp_path: Path) -> None:
    cases = read_cases(_table(tmp_path), None, 0.2, 0, "1")
    assert [(case.name, case.base, case.weight) for case in cases] == [("sub-1", "Test", 3.0), ("sub-2", "Train", 0.5)]


def test_a_fold_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no subject with Base = Test"):
        read_cases(_table(tmp_path), None, 0.2, 0, "7")


def test_the_newborns_have_five_folds_of_their_own_and_no_other_source_is_held_out() -> None:
    lines = (ROOT / "benchmarks" / "configs" / "newborns.csv").read_text().splitlines()[1:]
    folds = {line.split("/")[-1].split("_")[0]: line.split(",")[2] for line in lines}
    newborns = {name: fold for name, fold in folds.items() if name.startswith("sub-ALBERT")}
    assert sorted({fold for fold in newborns.values() if fold != "0"}) == ["1", "2", "3", "4", "5"]
    assert all(fold == "0" for name, fold in folds.items() if name not in newborns)
    assert not any("xu2022" in line for line in lines)


def test_labels_stay_themselves_where_they_fit() -> None:
    labels = np.array([0, 5, 9, 10])
    tissues, numbers = _tissues(labels, {"a": (5,), "b": (6, 10)}, None)  # type: ignore[arg-type]
    assert tissues.tolist() == [0, 5, 9, 10] and numbers == {"a": (5,), "b": (6, 10)}
    large, own = _tissues(np.array([0, 5, 1000]), {"a": (5, 7), "b": (1000,)}, None)  # type: ignore[arg-type]
    assert large.tolist() == [0, 1, 2] and own == {"a": (1,), "b": (2,)}


def test_a_mask_cuts_input_and_target_and_leaves_the_surroundings_out() -> None:
    z, y, x = np.mgrid[-24:24, -24:24, -24:24]
    radius = np.sqrt(z**2 + y**2 + x**2)
    labels = np.select([radius < 14, radius < 22], [5, 9], 0).astype(np.uint8)
    subject = Subject("s", np.where(labels > 0, 0.8, 0).astype(np.float32), labels, {"cortex": (5,)}, 0.8)
    plain = AugmentationConfig(0.0, (1, 1), 0.0, 0.0, (1, 1), 0.0)
    config = SimulationConfig(patch=32, zoom=(1, 1), noise=0.0, augmentation=plain, factor=(2, 2), label_share=1.0)
    masked = replace(config, augmentation=replace(plain, masked=1.0, surroundings=(9,)))
    shown, _ = simulate_patch(subject, config, np.random.default_rng(0))
    given, target = simulate_patch(subject, masked, np.random.default_rng(0))
    assert torch.count_nonzero(given) < 0.8 * torch.count_nonzero(shown > 0.1)
    assert bool((target[0][given[0] == 0] == 0).all()) and bool((target[1] <= 1).all())
    assert float(given[target[1:2] > 0.9].min()) > 0.3
