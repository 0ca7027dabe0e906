"""Small volumes on disk, sound and damaged: shared by the tests of reading and writing."""

from __future__ import annotations

import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from support.grids import oblique_direction

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.io.volume import VolumeError, read_volume

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha")


def small_image(grid: Grid | None = None, seed: int = 0) -> sitk.Image:
    """Noise on a small oblique grid, or on the given one; float32."""
    grid = grid or Grid((7, 6, 5), (0.45, 0.5, 3.3), (-101.3, 55.5, 7.77), tuple(oblique_direction().ravel()))
    return grid.image(np.random.default_rng(seed).normal(100, 20, grid.shape).astype(np.float32))


def corners(image: sitk.Image) -> np.ndarray:
    """(8, 3) LPS positions in mm of the corner voxels."""
    ends = [(0, n - 1) for n in image.GetSize()]
    index = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.array([image.TransformIndexToPhysicalPoint(i.tolist()) for i in index])


def affine_lps(image: sitk.Image) -> np.ndarray:
    """4 x 4, from voxel index (x, y, z) to LPS mm."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return affine


def scanner_affine() -> np.ndarray:
    """An oblique RAS affine, as NIfTI stores it: voxels of 1 x 1.5 x 3 mm."""
    affine = np.eye(4)
    affine[:3, :3] = oblique_direction() * np.array([1.0, 1.5, 3.0])
    affine[:3, 3] = 10.0, -20.5, 30.25
    return affine


def save_nifti(
    path: Path, data: np.ndarray | None = None, qform=None, sform=None, codes=(1, 1), unit="mm", version=1
) -> Path:
    """Write a NIfTI file with nibabel, independently of the library; by default both forms are `scanner_affine`."""
    if data is None:
        data = np.random.default_rng(0).integers(0, 1000, (7, 6, 5)).astype(np.int16)
    image = {1: nibabel.Nifti1Image, 2: nibabel.Nifti2Image}[version](data, None)
    image.header.set_xyzt_units(unit)
    image.header.set_qform(scanner_affine() if qform is None else qform, codes[0])  # also sets the voxel sizes
    image.header.set_sform(scanner_affine() if sform is None else sform, codes[1])
    nibabel.save(image, path)
    return path


def patch(path: Path, offset: int, code: str, *values) -> Path:
    """Overwrite numbers in a file, little-endian."""
    content = bytearray(path.read_bytes())
    struct.pack_into("<" + code, content, offset, *values)
    path.write_bytes(content)
    return path


def substitute(path: Path, old: str, new: str) -> Path:
    """Replace a text of a file's header, which must be there."""
    content = path.read_bytes()
    assert old.encode() in content
    path.write_bytes(content.replace(old.encode(), new.encode()))
    return path


def complaint(path: Path, read=read_volume, **arguments) -> str:
    """The one sentence with which a file is refused; it names the file."""
    with pytest.raises(VolumeError) as caught:
        read(path, **arguments)
    text = str(caught.value)
    assert path.name in text
    assert "\n" not in text and len(text) < 600
    return text
