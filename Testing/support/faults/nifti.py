"""NIfTI files that are wrong, or unusual."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
from support.faults.table import Catalogue, Scene
from support.faults.volumes import SIZE, SPACING, affine, blob_values, nifti
from support.volume_files import patch

CATALOGUE = Catalogue()
add = CATALOGUE.add


def _damaged(title: str, says: str, change, **more: Any) -> None:
    """A fault of a sound file that is changed."""

    @add(title, says, **more)
    def make(scene: Scene) -> list[Any]:
        return scene.predict(change(nifti(scene.folder / "a.nii")))


def _holding(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _zipped(path: Path, content: bytes) -> Path:
    return _holding(path.with_name("a.nii.gz"), content)


_damaged("NIfTI cut off after 60 %", "is truncated: its header promises", lambda p: _holding(p, p.read_bytes()[:13000]))
_damaged("NIfTI of 100 bytes", "is too short for a NIfTI file", lambda p: _holding(p, p.read_bytes()[:100]))
_damaged("NIfTI of 0 bytes", "is empty", lambda p: _holding(p, b""))
_damaged("gzip that ends too early", "ends too early", lambda p: _zipped(p, gzip.compress(p.read_bytes())[:-100]))
_damaged("gzip with one byte changed", "damaged compressed data", lambda p: _zipped(p, _flipped(p)))
_damaged("gzip without gzip: `.nii` named `.nii.gz`", "is not compressed", lambda p: _zipped(p, p.read_bytes()))
_damaged("gzip that announces 1.5 GB in 1.5 MB", "which no scan holds", lambda p: _zipped(p, _bomb()))
_damaged("text named `.nii`", "is too short for a NIfTI file", lambda p: _holding(p, b"no volume"))
_damaged("NIfTI of 30000^3 voxels", "more than the", lambda p: patch(p, 40, "4h", 3, 30000, 30000, 30000))
_damaged("NIfTI of negative size", "impossible size", lambda p: patch(p, 40, "4h", 3, -22, 20, 12))
_damaged("voxel size of 0", "impossible voxel size", lambda p: patch(p, 76, "4f", 1, 1, 0, 2))
_damaged("voxel size of NaN", "impossible voxel size", lambda p: patch(p, 76, "4f", 1, 1, float("nan"), 2))
_damaged("voxel sizes in metres called millimetres", "", lambda p: _scaled(p, 0.001))
_damaged("voxel sizes in micrometres called millimetres", "", lambda p: _scaled(p, 1000.0))
_damaged("unknown unit of length", "unknown unit of length", lambda p: patch(p, 123, "B", 5))
_damaged("voxel type of complex numbers", "complex", lambda p: patch(p, 70, "h", 32))
_damaged("NIfTI of 5 frames", "4D series of 5 frames", lambda p: nifti(p, values=np.stack([blob_values()] * 5, -1)))
_damaged("single slice", "is a single slice", lambda p: nifti(p, values=blob_values()[:, :, :1]))
_damaged("NaN inside the scan", "NaN or infinite", lambda p: nifti(p, values=_with(np.nan, (12, 8, 6))))
_damaged("infinite voxel", "NaN or infinite", lambda p: nifti(p, values=_with(np.inf, (12, 8, 6))))
_damaged("voxel of 1e30", "has a voxel of 1e+30", lambda p: nifti(p, values=_with(1e30, (12, 8, 6))))
_damaged("voxel of -1e29", "has a voxel of -1e+29", lambda p: nifti(p, values=_with(-1e29, (12, 8, 6))))
_damaged("same value everywhere", "the same value, 7", lambda p: nifti(p, values=np.full(SIZE, 7, np.float32)))
_damaged("intercept of infinity", "intensity intercept", lambda p: patch(p, 112, "2f", 2.0, float("inf")))
_damaged("slope of 1e38", "NaN or infinite", lambda p: patch(p, 112, "2f", 1e38, 0.0))
_damaged("sheared sform", "not perpendicular", lambda p: nifti(p, _sheared(0.2), codes=(0, 1)))
_damaged("qform and sform 30 mm apart", "--geometry qform or --geometry sform", lambda p: _shifted(p, 30.0))
_damaged("sform mirrored against its qform", "--geometry qform or", lambda p: nifti(p, qform=affine(-np.eye(3))))
_damaged("sform whose voxels are not those of pixdim", "by its sform", lambda p: _stretched(p))
_damaged("sform with a zero axis", "zero axis", lambda p: patch(nifti(p, codes=(0, 1)), 280, "4f", 0, 0, 0, 0))
_damaged("header of a `.hdr`/`.img` pair", "convert the pair", lambda p: p.rename(p.with_suffix(".hdr")))


def _flipped(path: Path) -> bytes:
    content = bytearray(gzip.compress(path.read_bytes()))
    content[len(content) // 2] ^= 0xFF
    return bytes(content)


def _bomb() -> bytes:
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, 1024, 1024, 700, 1, 1, 1, 1)
    struct.pack_into("<hh", header, 70, 4, 16)
    struct.pack_into("<4f", header, 76, 1, 1, 1, 1)
    struct.pack_into("<f", header, 108, 352)
    header[344:348] = b"n+1\0"
    return gzip.compress(bytes(header) + bytes(1024 * 1024 * 64), 9) + gzip.compress(bytes(1024 * 1024 * 8), 9)


def _with(value: float, index: tuple[int, int, int]) -> np.ndarray:
    values = blob_values()
    values[index] = value
    return values


def _scaled(path: Path, factor: float) -> Path:
    matrix = affine()
    matrix[:3] *= factor
    return nifti(path, matrix)


def _sheared(factor: float) -> np.ndarray:
    matrix = affine()
    matrix[0, 1] += factor
    return matrix


def _shifted(path: Path, by: float) -> Path:
    other = affine()
    other[0, 3] += by
    return nifti(path, sform=other)


def _stretched(path: Path) -> Path:
    matrix = affine()
    matrix[:3, 2] *= 1.5
    patch(nifti(path, matrix, codes=(0, 1)), 76, "4f", 1, *SPACING)
    return path
