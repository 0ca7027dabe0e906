"""Where a NIfTI file lies in space: its qform, its sform and its voxel sizes must tell the same story.

A NIfTI file describes its position up to three times, and programs choose differently: what one shows upright another
shows mirrored, shifted or stretched. SimpleITK takes the directions of one description and the voxel sizes of another.
Here the descriptions must agree; a file where they do not is refused, and the user decides which one is right.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from ..data.axes import corner_distance, orthonormal_axes
from ..data.grid import Grid
from ..utils.errors import VolumeError

_logger = logging.getLogger(__name__)

# Largest distance in mm at a corner. A qform is a single-precision quaternion: near a rotation of 180 degrees, common
# in axial scans, its rounding alone moves a corner by several hundredths of a millimetre.
_AGREEMENT = 0.1
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # from the file's RAS


@dataclass(frozen=True)
class NiftiGeometry:
    """The numbers about space in a NIfTI-1 header, in the file's unit of length and RAS.

    size: voxels (x, y, z). spacing: pixdim[1..3]. handedness: -1 or 1, the sign that pixdim[0] gives to the third
    axis. qform_code, sform_code: above 0 where that description holds. quaternion: b, c, d. offset: of the qform.
    rows: the sform, row-major. millimetres: one unit of length.
    """

    size: tuple[int, int, int]
    spacing: tuple[float, ...]
    handedness: float
    qform_code: int
    sform_code: int
    quaternion: tuple[float, ...]
    offset: tuple[float, ...]
    rows: tuple[float, ...]
    millimetres: float


GEOMETRIES = ("qform", "sform")


@dataclass(frozen=True)
class GeometryChoice:
    """Which description of a NIfTI file's place counts.

    form: "qform" or "sform", for a file whose two disagree; None refuses such a file. warnings: gets a sentence where
    the place is not certain.
    """

    form: str | None = None
    warnings: list[str] | None = None

    def __post_init__(self) -> None:
        if self.form not in (None, *GEOMETRIES):
            raise VolumeError(f"The geometry is taken from {' or '.join(GEOMETRIES)}, not from {self.form!r}.")

    def warn(self, sentence: str) -> None:
        """Keep a sentence for the record, and log it."""
        _logger.warning("%s", sentence)
        if self.warnings is not None:
            self.warnings.append(sentence)


def nifti_grid(header: NiftiGeometry, name: str, choice: GeometryChoice = GeometryChoice()) -> Grid:  # noqa: B008
    """The voxel grid (LPS, mm) of a NIfTI file.

    The sform counts where it is set (it is stored with more precision), else the qform; where neither is set, the
    axes are LPS and the first voxel is the origin, which is what SimpleITK and 3D Slicer do, and a warning is logged.

    Args:
        header: the numbers of the header.
        name: the file, for messages.
        choice: which of them counts where they disagree.

    Raises:
        VolumeError: voxel sizes that are not positive, descriptions that disagree, or axes that are sheared.
    """
    _check_spacing(header.spacing, name)
    if choice.form is not None and (header.qform_code > 0 or header.sform_code > 0):
        return _grid(_chosen(header, name, choice), header, name)
    if header.sform_code > 0:
        affine = _sform(header, name)
        if header.qform_code > 0:
            _check_agreement(affine, _qform(header, name), header, name)
        else:
            _check_voxel_sizes(affine, header, name)
    elif header.qform_code > 0:
        affine = _qform(header, name)
    else:
        choice.warn(f"{name} does not say how it lies in space (qform and sform codes are 0): LPS axes assumed.")
        spacing = np.array(header.spacing) * header.millimetres
        affine = _LPS @ np.diag([*spacing, 1.0])
    return _grid(affine, header, name)


def _chosen(header: NiftiGeometry, name: str, choice: GeometryChoice) -> np.ndarray:
    """The affine of the form that the user chose; a warning where the other one disagrees."""
    codes = {"qform": header.qform_code, "sform": header.sform_code}
    if codes[str(choice.form)] <= 0:
        raise VolumeError(f"{name} has no {choice.form} (its code is 0): choose the other geometry.")
    make = {"qform": _qform, "sform": _sform}
    affine = make[str(choice.form)](header, name)
    if min(codes.values()) > 0:
        distance = corner_distance(_sform(header, name), _qform(header, name), header.size)
        if not distance <= _AGREEMENT:
            choice.warn(f"{name} has a qform and an sform {distance:.3g} mm apart; the {choice.form} was chosen.")
    return affine


def _check_spacing(spacing: tuple[float, ...], name: str) -> None:
    if not all(np.isfinite(s) and s > 0 for s in spacing):
        text = " x ".join(f"{s:g}" for s in spacing)
        raise VolumeError(f"{name} has an impossible voxel size of {text}: correct its header or export it again.")


def _sform(header: NiftiGeometry, name: str) -> np.ndarray:
    """The sform as a 4 x 4 affine, in mm (nifti1.h, method 3)."""
    affine = np.eye(4)
    affine[:3] = np.reshape(header.rows, (3, 4)) * header.millimetres
    if not np.isfinite(affine).all() or not np.linalg.norm(affine[:3, :3], axis=0).all():
        raise VolumeError(f"{name} has an sform with a zero axis or numbers that are not finite: export it again.")
    return affine


def _qform(header: NiftiGeometry, name: str) -> np.ndarray:
    """The qform as a 4 x 4 affine, in mm (nifti1.h, method 2)."""
    b, c, d = header.quaternion
    length = b * b + c * c + d * d
    if not (np.isfinite([*header.quaternion, *header.offset]).all() and length < 1.001):
        raise VolumeError(f"{name} has a qform that is not a rotation: export it again.")
    a = np.sqrt(max(0.0, 1.0 - length))
    b, c, d = np.array([b, c, d]) / max(1.0, np.sqrt(length))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    affine = np.eye(4)
    affine[:3, :3] = rotation * np.array(header.spacing) * [1.0, 1.0, header.handedness] * header.millimetres
    affine[:3, 3] = np.array(header.offset) * header.millimetres
    return affine


def _check_agreement(sform: np.ndarray, qform: np.ndarray, header: NiftiGeometry, name: str) -> None:
    distance = corner_distance(sform, qform, header.size)
    if not distance <= _AGREEMENT:
        raise VolumeError(
            f"{name} has a qform (code {header.qform_code}) and an sform (code {header.sform_code}) that place it "
            f"up to {distance:.3g} mm apart: find out which one is right, copy it over the other "
            "(fslorient -copyqform2sform or -copysform2qform), or choose it with --geometry qform or --geometry sform, "
            "which predict and batch have."
        )


def _check_voxel_sizes(sform: np.ndarray, header: NiftiGeometry, name: str) -> None:
    """The sform alone defines the place, but programs that take the voxel size from pixdim would see another volume."""
    spacing = np.array(header.spacing) * header.millimetres
    lengths = np.linalg.norm(sform[:3, :3], axis=0)
    if not np.all(np.abs(lengths - spacing) * (np.array(header.size) - 1) <= _AGREEMENT):
        by_sform, by_pixdim = (" x ".join(f"{s:.4g}" for s in sizes) for sizes in (lengths, spacing))
        raise VolumeError(
            f"{name} has voxels of {by_sform} mm by its sform and {by_pixdim} mm by its pixdim: "
            "correct its header or export it again."
        )


def _grid(affine: np.ndarray, header: NiftiGeometry, name: str) -> Grid:
    affine = _LPS @ affine
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    axes = orthonormal_axes(affine[:3, :3] / lengths, name)
    spacing = np.array(header.spacing) * header.millimetres  # the exact number, where the affine's is the same, rounded
    spacing = np.where(np.isclose(lengths, spacing, rtol=1e-6, atol=0), spacing, lengths)
    return Grid(header.size, tuple(spacing.tolist()), tuple(affine[:3, 3].tolist()), tuple(axes.ravel().tolist()))
