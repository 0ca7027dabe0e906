"""Volumes stored in unusual ways: what the result shows must lie where it was, by an independent reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from support.faults.table import DONE, Catalogue, Scene
from support.faults.volumes import LPS, OBLIQUE, affine, blob_values, check_at, nifti, text_volume
from support.volume_files import substitute

CATALOGUE = Catalogue()
add = CATALOGUE.add


def _stored(title: str, true: np.ndarray, says: str = "", options: tuple[str, ...] = (), **header: Any) -> None:
    """A NIfTI file that is read right: the blob stays where `true` puts it."""

    @add(title, says, status=DONE, check=check_at(true))
    def make(scene: Scene) -> list[Any]:
        fields = {"matrix": true} | header
        return scene.predict(nifti(scene.folder / "a.nii.gz", **fields), *options)


def _metres(matrix: np.ndarray) -> np.ndarray:
    return np.diag([1e-3, 1e-3, 1e-3, 1]) @ matrix


def _beside(matrix: np.ndarray) -> np.ndarray:
    """30 mm to the right."""
    result = matrix.copy()
    result[0, 3] += 30
    return result


def _integers() -> np.ndarray:
    """What a slope of 0.5 and an intercept of -20 make the blob's values."""
    return np.rint(2 * (blob_values() + 20)).astype(np.int16)


def _nan_around() -> np.ndarray:
    values = blob_values()
    values[:3] = values[-2:] = np.nan
    return values


for _name, _signs in {"left-right": (-1, 1, 1), "front-back": (1, -1, 1), "upside down": (1, 1, -1)}.items():
    _stored(f"axes stored {_name}", affine(np.diag(_signs)))
_stored("axes stored in another order", affine(np.eye(3)[:, [2, 0, 1]]))
_stored("oblique axes", affine(OBLIQUE))
_stored("oblique axes, left-handed", affine(OBLIQUE * [1, 1, -1]))
_stored("oblique axes by the qform alone, left-handed", affine(OBLIQUE * [1, 1, -1]), codes=(1, 0))
_stored("oblique axes by the sform alone", affine(OBLIQUE), codes=(0, 1))
_stored("axes rounded to 3 decimals", affine(OBLIQUE), matrix=affine(np.round(OBLIQUE, 3)), codes=(0, 1))
_stored("big-endian numbers", affine(OBLIQUE), endianness=">")
_stored("place in metres, and said so", affine(OBLIQUE), matrix=_metres(affine(OBLIQUE)), unit="meter")
_stored("place in micrometres, and said so", affine(), matrix=np.diag([1e3, 1e3, 1e3, 1]) @ affine(), unit="micron")
_stored("integers with a slope and an intercept", affine(), values=_integers(), slope=(0.5, -20.0))
_stored("integers with a negative slope", affine(), values=-_integers(), slope=(-0.5, -20.0))
_stored("8-bit integers", affine(OBLIQUE), values=(blob_values() / 4).astype(np.uint8))
_stored("64-bit floats", affine(OBLIQUE), values=blob_values().astype(np.float64))
_stored("NIfTI-2", affine(OBLIQUE), version=2)
_stored("a fourth dimension of one frame", affine(OBLIQUE), values=blob_values()[..., None])
_stored("NaN around the scan", affine(), "without a value (NaN) around the scan", values=_nan_around())
_stored(
    "sform 30 mm away, `--geometry qform`",
    affine(),
    "the qform was chosen",
    ("--geometry", "qform"),
    sform=_beside(affine()),
)
_stored(
    "qform 30 mm away, `--geometry sform`",
    affine(),
    "the sform was chosen",
    ("--geometry", "sform"),
    qform=_beside(affine()),
)


@add("no place in the header (codes 0)", "LPS axes assumed", status=DONE)
def _without_place(scene: Scene) -> list[Any]:
    return scene.predict(nifti(scene.folder / "a.nii.gz", codes=(0, 0)))


def _text(title: str, suffix: str, change: Callable[[Path], Path], matrix: np.ndarray, says: str = "") -> None:
    """A NRRD or MetaImage file whose header is changed; with its voxels unchanged, the blob is at `matrix`."""

    @add(title, says, status=DONE, check=check_at(matrix))
    def make(scene: Scene) -> list[Any]:
        return scene.predict(change(text_volume(scene.folder / f"a{suffix}", affine(OBLIQUE))))


def _swapped_bytes(path: Path, old: str, new: str) -> Path:
    """The same volume with big-endian voxels and another word in its header."""
    image = sitk.ReadImage(str(path))
    sitk.WriteImage(image, str(path), useCompression=False)
    stored = sitk.GetArrayFromImage(image)
    content = path.read_bytes()
    assert content.endswith(stored.tobytes())
    path.write_bytes(content[: -stored.nbytes] + stored.astype(">f4").tobytes())
    return substitute(path, old, new)


def _without_axes(path: Path) -> Path:
    lines = text_volume(path).read_bytes().split(b"\n")
    path.write_bytes(b"\n".join(line for line in lines if not line.startswith(b"TransformMatrix")))
    return path


_text("oblique NRRD", ".nrrd", lambda p: p, affine(OBLIQUE))
_text("oblique MetaImage", ".mha", lambda p: p, affine(OBLIQUE))
_text("big-endian NRRD", ".nrrd", lambda p: _swapped_bytes(p, "endian: little", "endian: big"), affine(OBLIQUE))
_text(
    "big-endian MetaImage",
    ".mha",
    lambda p: _swapped_bytes(p, "ByteOrderMSB = False", "ByteOrderMSB = True"),
    affine(OBLIQUE),
)
_text(
    "NRRD in RAS",
    ".nrrd",
    lambda p: substitute(p, "left-posterior-superior", "right-anterior-superior"),
    LPS @ affine(OBLIQUE),
)
_text(
    "NRRD in LAS",
    ".nrrd",
    lambda p: substitute(p, "left-posterior-superior", "left-anterior-superior"),
    np.diag([1.0, -1, 1, 1]) @ affine(OBLIQUE),
)
_text(
    "NRRD without an anatomical space",
    ".nrrd",
    lambda p: substitute(p, "space: left-posterior-superior", "space dimension: 3"),
    affine(OBLIQUE),
    "LPS axes assumed",
)
_text("MetaImage without axes", ".mha", _without_axes, affine(np.diag([-1, -1, 1])), "LPS axes assumed")
_text(
    "NRRD with node-centred voxels",
    ".nrrd",
    lambda p: substitute(p, "endian", "centerings: node node node\nendian"),
    affine(OBLIQUE),
)
_text(
    "MetaImage with another element size",
    ".mha",
    lambda p: substitute(p, "ElementSpacing", "ElementSize = 3 3 3\nElementSpacing"),
    affine(OBLIQUE),
)
