"""Enhanced multi-frame MR, one file a volume, which new scanners write: read by highdicom, which knows its geometry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...data.grid import Grid
from ...utils.errors import MissingPackage, VolumeError
from ...utils.optional import require

_REGULAR = 0.05  # mm a slice may lie off its place in the stack


def read_multi_frame(file: Path, padding: tuple[int, int] | None = None) -> tuple[sitk.Image, int]:
    """Read an enhanced multi-frame MR file as a 3D float32 image (LPS, mm), each frame with its own rescaling.

    Args:
        file: the file. padding: stored numbers, from and to, that are no measurement; they become 0.

    Returns:
        The image, and the number of pixels that were padding.

    Raises:
        VolumeError: highdicom is not installed, or the frames do not make one regular stack.
    """
    try:
        highdicom = require("highdicom", extra="dicom")
    except MissingPackage as error:
        raise VolumeError(f"{file.name} is an enhanced multi-frame DICOM file. {error}") from error
    try:
        image = highdicom.imread(file)
        options = {"apply_real_world_transform": False, "apply_presentation_lut": False, "atol": _REGULAR}
        volume = image.get_volume(dtype=np.float64, **options)
        values, padded = volume.array, np.zeros(1, bool)
        if padding is not None:
            stored = image.get_volume(dtype=np.float64, apply_modality_transform=False, **options).array
            padded = (stored >= padding[0]) & (stored <= padding[1]) & (values != 0)
            values = np.where(padded, 0.0, values)
    except Exception as error:  # noqa: BLE001 (whatever a damaged file provokes in pydicom and highdicom)
        raise VolumeError(
            f"{file.name} is a multi-frame DICOM file whose frames do not make one regular volume "
            f"({' '.join(str(error).split())[:200]}): convert it to NIfTI (dcm2niix does)."
        ) from error
    return _image(values, volume.affine), int(np.count_nonzero(padded))


def _image(values: np.ndarray, affine: np.ndarray) -> sitk.Image:
    """The image of values (z, y, x) and the matrix that takes their indices, in this order, to LPS."""
    steps = affine[:3, 2::-1]
    if np.linalg.det(steps) < 0:  # a series of single slices is always right-handed, too
        affine = affine.copy()
        affine[:3, 3] += affine[:3, 0] * (len(values) - 1)
        affine[:3, 0] *= -1
        values, steps = values[::-1], affine[:3, 2::-1]
    spacing = np.linalg.norm(steps, axis=0)
    with np.errstate(over="ignore"):  # what becomes infinite is reported with the other values
        values = np.ascontiguousarray(values, dtype=np.float32)
    directions = tuple((steps / spacing).ravel().tolist())
    grid = Grid(values.shape[::-1], tuple(spacing.tolist()), tuple(affine[:3, 3].tolist()), directions)
    return grid.image(values)
