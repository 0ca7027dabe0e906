"""Volumes of a blob whose place is known, and ways to write them."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import SimpleITK as sitk
from support.faults.table import Scene, blob_stays
from support.grids import oblique_direction

SIZE, SPACING = (22, 20, 12), np.array([1.0, 1.0, 2.0])
CENTRE = np.array([12.0, 8.5, 6.5])  # of the blob, voxels; off the middle along every axis
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # from RAS, and back
ORIGIN = np.array([-31.0, 14.5, 22.25])


def blob_values() -> np.ndarray:
    """(x, y, z): background 10, and a Gaussian of 3 mm whose maximum is 1000."""
    index = np.stack(np.indices(SIZE), axis=-1)
    distance = np.linalg.norm((index - CENTRE) * SPACING, axis=-1)
    return (10 + 990 * np.exp(-0.5 * (distance / 3.0) ** 2)).astype(np.float32)


def affine(axes: np.ndarray | None = None) -> np.ndarray:
    """RAS, with these axes as columns."""
    result = np.eye(4)
    result[:3, :3] = (np.eye(3) if axes is None else axes) * SPACING
    result[:3, 3] = ORIGIN
    return result


def place(matrix: np.ndarray) -> np.ndarray:
    """Where the blob is, RAS, mm."""
    return (matrix @ [*CENTRE, 1.0])[:3]


def check_at(matrix: np.ndarray, tolerance: float = 0.05) -> Callable[[Scene], None]:
    """Checks that the blob of the result lies where this affine puts it."""
    return lambda scene: blob_stays(scene, place(matrix), tolerance)


def nifti(
    path: Path,
    matrix: np.ndarray | None = None,
    values: np.ndarray | None = None,
    codes: tuple[int, int] = (1, 1),
    **header: Any,
) -> Path:
    """Write a NIfTI file with nibabel; both forms are `matrix`."""
    matrix, values = affine() if matrix is None else matrix, blob_values() if values is None else values
    kind, empty = {
        1: (nibabel.Nifti1Image, nibabel.Nifti1Header),
        2: (nibabel.Nifti2Image, nibabel.Nifti2Header),
    }[header.pop("version", 1)]
    image = kind(values, None, empty(endianness=header.pop("endianness", "<")))
    image.header.set_data_dtype(header.pop("dtype", values.dtype))
    image.header.set_xyzt_units(header.pop("unit", "mm"))
    image.header.set_qform(header.pop("qform", matrix), codes[0])
    image.header.set_sform(header.pop("sform", matrix), codes[1])
    slope = header.pop("slope", None)
    nibabel.save(image, path)
    if slope is not None:  # nibabel would change the stored numbers
        with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as stream:
            content = bytearray(stream.read())
        struct.pack_into("<2f", content, 112, *slope)
        path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else content)
    return path


def text_volume(path: Path, matrix: np.ndarray | None = None) -> Path:
    """Write a NRRD or MetaImage file with SimpleITK, whose space is LPS."""
    lps = LPS @ (affine() if matrix is None else matrix)
    image = sitk.GetImageFromArray(blob_values().transpose())
    image.SetSpacing(SPACING.tolist())
    image.SetDirection((lps[:3, :3] / SPACING).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    sitk.WriteImage(image, str(path))
    return path


OBLIQUE = oblique_direction()
