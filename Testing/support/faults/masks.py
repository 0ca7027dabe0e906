"""Masks that are of something else, or lie in space in another way than the scan."""

from __future__ import annotations

from typing import Any

import numpy as np
from support.faults.table import DONE, Catalogue, Scene
from support.faults.volumes import OBLIQUE, SIZE, affine, nifti, place

CATALOGUE = Catalogue()
add = CATALOGUE.add
_TRUE = affine(OBLIQUE)


def _ball(matrix: np.ndarray, size: tuple[int, int, int] = SIZE, radius: float = 5.5) -> np.ndarray:
    """A ball of `radius` mm around the blob, on a grid of its own."""
    index = np.stack([*np.indices(size), np.ones(size)], axis=-1)
    distance = np.linalg.norm((index @ matrix.T)[..., :3] - place(_TRUE), axis=-1)
    return (distance < radius).astype(np.uint8)


def _around_blob(scene: Scene) -> None:
    """The cortex, which a neutral model sees everywhere, fills the mask and lies where it lies."""
    image = scene.result("cortex")
    values = image.get_fdata()
    index = np.argwhere(values > 0)
    assert len(index), "no label"
    found = (image.affine @ [*index.mean(axis=0), 1.0])[:3]
    assert np.linalg.norm(found - place(_TRUE)) < 0.7, f"labels around {found}, not {place(_TRUE)}"
    volume = len(index) * abs(np.linalg.det(image.affine[:3, :3]))
    assert 400 < volume < 900, f"{volume:.0f} mm3 of labels, where the mask has 697"


def _given(title: str, matrix: np.ndarray, size: tuple[int, int, int] = SIZE, **header: Any) -> None:
    @add(title, header.pop("says", ""), status=DONE, check=_around_blob)
    def make(scene: Scene) -> list[Any]:
        fields = {"matrix": matrix, "values": _ball(matrix, size)} | header
        mask = nifti(scene.folder / "mask.nii.gz", **fields)
        return scene.predict(nifti(scene.folder / "a.nii.gz", _TRUE), "--mask", mask)


def _refused(title: str, says: str, values: np.ndarray, matrix: np.ndarray = _TRUE, **header: Any) -> None:
    @add(title, says)
    def make(scene: Scene) -> list[Any]:
        mask = nifti(scene.folder / "mask.nii.gz", matrix, values, **header)
        return scene.predict(nifti(scene.folder / "a.nii.gz", _TRUE), "--mask", mask)


def _finer() -> np.ndarray:
    """Voxels of half the size, shifted."""
    matrix = _TRUE @ np.diag([0.5, 0.5, 0.5, 1])
    matrix[:3, 3] += [0.2, -0.3, 0.1]
    return matrix


def _far() -> np.ndarray:
    """30 cm to the left."""
    matrix = _TRUE.copy()
    matrix[0, 3] -= 300
    return matrix


def _mirrored() -> np.ndarray:
    """The same place, stored from right to left and from top to bottom."""
    matrix = _TRUE @ np.diag([-1.0, 1, -1, 1])
    matrix[:3, 3] = (_TRUE @ [SIZE[0] - 1, 0, SIZE[2] - 1, 1])[:3]
    return matrix


_given("mask on the scan's grid", _TRUE)
_given("mask on a finer grid", _finer(), (44, 40, 24))
_given("mask stored mirrored in two axes", _mirrored())
_given("mask with values of 255", _TRUE, values=_ball(_TRUE) * 255)
_given("mask of floats with a slope", _TRUE, values=_ball(_TRUE).astype(np.int16), slope=(2.0, 0.0))
_refused("mask that is zero", "is zero in every voxel", np.zeros(SIZE, np.uint8))
_refused("mask of fractions", "not whole numbers", (_ball(_TRUE) * 0.37).astype(np.float32))
_refused("mask with NaN", "NaN or infinite", np.where(_ball(_TRUE) > 0, 1, np.nan).astype(np.float32))
_refused("mask elsewhere in space", "no voxel inside the volume", _ball(_TRUE), _far())
_refused("mask that is the scan", "not whole numbers", np.random.default_rng(0).random(SIZE, np.float32))
_refused("mask whose two forms disagree", "--geometry qform or", _ball(_TRUE), qform=_mirrored())


@add("mask without a place in the header (codes 0)", "LPS axes assumed", status=DONE, check=lambda scene: None)
def _without_place(scene: Scene) -> list[Any]:
    mask = nifti(scene.folder / "mask.nii.gz", affine(), np.ones(SIZE, np.uint8), codes=(0, 0))
    return scene.predict(nifti(scene.folder / "a.nii.gz", affine(), codes=(0, 0)), "--mask", mask)


@add(
    "mask and scan whose forms disagree alike, `--geometry sform`",
    "the sform was chosen",
    status=DONE,
    check=_around_blob,
)
def _alike(scene: Scene) -> list[Any]:
    mask = nifti(scene.folder / "mask.nii.gz", _TRUE, _ball(_TRUE), qform=affine())
    return scene.predict(nifti(scene.folder / "a.nii.gz", _TRUE, qform=affine()), "--mask", mask, "--geometry", "sform")


@add("no mask of that name", "does not exist")
def _absent(scene: Scene) -> list[Any]:
    return scene.predict(nifti(scene.folder / "a.nii.gz"), "--mask", scene.folder / "mask.nii.gz")


@add("result judged against a truth that is mirrored", "")
def _mirrored_truth(scene: Scene) -> list[Any]:
    return [
        "evaluate",
        "--sr",
        nifti(scene.folder / "a.nii.gz"),
        "--hr",
        nifti(scene.folder / "b.nii.gz", affine(np.diag([-1, 1, 1]))),
    ]


@add("result judged against a truth half a voxel away", "")
def _moved_truth(scene: Scene) -> list[Any]:
    moved = affine()
    moved[0, 3] += 0.5
    return ["evaluate", "--sr", nifti(scene.folder / "a.nii.gz"), "--hr", nifti(scene.folder / "b.nii.gz", moved)]
