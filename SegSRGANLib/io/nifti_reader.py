"""NIfTI voxels, read as they are.

Not by SimpleITK: its reader replaces NaN and infinite values by 0, so that a damaged or masked scan looks sound.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .nifti import check_nifti


def read_nifti(path: Path) -> sitk.Image:
    """Read a .nii or .nii.gz file as a 3D image (LPS, mm) of the file's voxel type, or of floats if it is scaled.

    Raises:
        VolumeError: see `check_nifti`.
        OSError: the file cannot be read.
    """
    header = check_nifti(path)
    shape = header.grid.shape
    with gzip.open(path) if header.compressed else path.open("rb") as stream:
        stream.seek(header.offset)
        stored = stream.read(int(np.prod(shape)) * header.dtype.itemsize)
    values = np.frombuffer(stored, header.dtype).reshape(shape)  # x runs fastest
    values = values.astype(header.dtype.newbyteorder("="), copy=False)
    if (header.slope, header.intercept) != (1, 0):
        values = values.astype(np.float32 if header.dtype.itemsize <= 2 else np.float64)
        with np.errstate(over="ignore", invalid="ignore"):  # what becomes infinite is reported with the other values
            values *= header.slope
            values += header.intercept
    return header.grid.image(values)
