"""Reading and writing volumes: NIfTI, NRRD, MetaImage and DICOM series, always 3D, LPS and millimetres.

SimpleITK does the reading, but for the voxels of NIfTI, and the writing. The checks it leaves out stand before it
(headers, lengths, checksums: nothing is allocated for a header that cannot be true) and behind it (values, geometry).
Every error is a `VolumeError`.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..data.axes import orthonormal_axes
from ..data.grid import Grid
from ..utils.atomic_files import atomic_path, free_bytes, no_room
from ..utils.errors import VolumeError
from .dicom.series import is_dicom_file, read_dicom_series
from .file_names import VOLUME_SUFFIXES, WRITTEN_SUFFIXES, volume_suffix
from .gzip_stream import compress
from .metaimage import check_metaimage
from .nifti import check_nifti, read_nifti
from .nifti_affine import GeometryChoice
from .nrrd import check_nrrd

__all__ = ["VolumeError", "read_labels", "read_volume", "write_volume"]

_CHECKS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys((".nii", ".nii.gz"), check_nifti),
    **dict.fromkeys((".nrrd", ".nhdr"), check_nrrd),
    **dict.fromkeys((".mha", ".mhd"), check_metaimage),
}
_IMAGE_IO: dict[Callable[..., Any], str] = {check_nrrd: "NrrdImageIO", check_metaimage: "MetaImageIO"}
_SPACING_LIMITS = (0.01, 100.0)  # mm: beyond, the unit is wrong or the header damaged
_FARTHEST_ORIGIN = 1e6  # mm
_MAX_NIFTI_AXIS = 32767  # a NIfTI-1 header counts voxels in 16 bits


def read_volume(
    path: str | os.PathLike[str],
    series: str | None = None,
    *,
    geometry: str | None = None,
    warnings: list[str] | None = None,
) -> sitk.Image:
    """Read an intensity volume.

    Args:
        path: a .nii, .nii.gz, .nrrd, .nhdr, .mha or .mhd file, a folder of DICOM slices, or one of those slices.
        series: UID or description of the DICOM series, needed when the folder holds several.
        geometry: "qform" or "sform", for a NIfTI file whose two disagree.
        warnings: gets a sentence for everything that was read, but should be looked at; it belongs into the record.

    Returns:
        A 3D scalar float32 image (LPS, mm) with finite, not all equal values and perpendicular axes. It carries no
        metadata, so that no patient's name travels into results.

    Raises:
        VolumeError: one sentence: the file, what is wrong and what to do.
    """
    path = Path(path).absolute()
    notes: list[str] = [] if warnings is None else warnings
    image = sitk.Cast(_read(path, series, GeometryChoice(geometry, notes)), sitk.sitkFloat32)
    image = _without_empty_background(image, path.name, notes)
    low, high = _range(image, path.name)
    if low == high:
        raise VolumeError(f"{path.name} holds the same value, {low:g}, in every voxel: it is not a scan.")
    return image


def read_labels(
    path: str | os.PathLike[str], *, geometry: str | None = None, warnings: list[str] | None = None
) -> sitk.Image:
    """Read a mask or a label map.

    Args:
        path, geometry, warnings: as for `read_volume`.

    Returns:
        A 3D integer image (LPS, mm), not all zero: uint8 where the labels fit, else int16, else int32.

    Raises:
        VolumeError: as for `read_volume`; also values that are not whole numbers, and labels that are all zero.
    """
    path = Path(path).absolute()
    image = _read(path, choice=GeometryChoice(geometry, warnings))
    low, high = _range(image, path.name)
    if low == high == 0:
        raise VolumeError(f"{path.name} is zero in every voxel: give a mask or label map with something in it.")
    values = sitk.GetArrayViewFromImage(image)
    if values.dtype.kind == "f" and not all(np.array_equal(z, np.rint(z)) for z in values):
        raise VolumeError(f"{path.name} holds values that are not whole numbers: give a mask or label map.")
    for pixel_type, dtype in ((sitk.sitkUInt8, np.uint8), (sitk.sitkInt16, np.int16), (sitk.sitkInt32, np.int32)):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return sitk.Cast(image, pixel_type)
    raise VolumeError(f"{path.name} holds labels from {low:g} to {high:g}, which no label map needs: renumber them.")


def write_volume(image: sitk.Image, path: str | os.PathLike[str]) -> None:
    """Write a volume, whole or not at all: a temporary file in the same folder is checked, flushed and renamed.

    NIfTI files get equal qform and sform, both with code 1 (scanner), in mm. Metadata of the image is not written.

    Args:
        image: a 3D scalar image (LPS, mm).
        path: a .nii.gz, .nii, .nrrd or .mha file; its folder is created, an existing file is replaced.

    Raises:
        VolumeError: the image cannot be written in this format, or the folder cannot be written.
    """
    path = Path(path)
    _check_name(path)
    suffix = _suffix(path, WRITTEN_SUFFIXES)
    kind = image.GetPixelIDTypeAsString()
    if image.GetDimension() != 3 or "vector" in kind or "complex" in kind or "label" in kind:
        raise VolumeError(
            f"{path.name} would be an image of {image.GetDimension()} dimensions of {kind}: "
            "only 3D images of one real number per voxel are written."
        )
    if suffix in (".nii", ".nii.gz") and max(image.GetSize()) > _MAX_NIFTI_AXIS:
        raise VolumeError(f"{path.name} cannot hold {max(image.GetSize())} voxels along an axis: write .nrrd.")
    image = _clean(image, path.name)
    with atomic_path(path) as temporary:
        try:
            _write(image, temporary, suffix)
        except (RuntimeError, OSError, VolumeError) as error:
            raise VolumeError(_not_whole(path, image)) from error


def _write(image: sitk.Image, path: Path, suffix: str) -> None:
    """Write an image and check it: a full disk cuts a file off, and not every format's writer notices."""
    if suffix != ".nii.gz":
        sitk.WriteImage(image, str(path), useCompression=suffix != ".nii")
        _CHECKS[suffix](path)
        return
    plain = path.with_name(path.name[: -len(suffix)] + ".nii")
    try:
        _write(image, plain, ".nii")
        compress(plain, path, intensities=image.GetPixelID() in (sitk.sitkFloat32, sitk.sitkFloat64))
    finally:
        plain.unlink(missing_ok=True)


def _not_whole(path: Path, image: sitk.Image) -> str:
    """The sentence for a volume that was cut off; no writer says why, so what is free and needed is compared."""
    needed = image.GetNumberOfPixels() * image.GetSizeOfPixelComponent()
    free = free_bytes(path)
    if free is not None and free < needed:
        return no_room(path, "no space left", needed)
    return f"{path} cannot be written whole: choose a folder that is writable and has free space."


def _read(path: Path, series: str | None = None, choice: GeometryChoice = GeometryChoice()) -> sitk.Image:  # noqa: B008
    """Read any supported file or folder, with the file's voxel type; its geometry is checked, its values are not."""
    _check_name(path)
    try:
        if not path.exists():
            raise VolumeError(f"{path} does not exist: check the name and the folder.")
        known = path.name.lower().endswith(tuple(_CHECKS))
        if path.is_dir() or (path.is_file() and not known and is_dicom_file(path)):
            image = read_dicom_series(path, series, choice.warnings)
        elif series is not None:
            raise VolumeError(f"{path.name} is not a DICOM series, so the series '{series}' cannot be chosen in it.")
        else:
            image = _read_file(path, choice)
    except OSError as error:
        raise VolumeError(f"{path} cannot be read ({error.strerror or error}): check that you may read it.") from error
    return _clean(image, path.name)


def _read_file(path: Path, choice: GeometryChoice) -> sitk.Image:
    check = _CHECKS[_suffix(path, VOLUME_SUFFIXES)]
    if not path.is_file():
        raise VolumeError(f"{path} is not a file that can be read.")
    if path.stat().st_size == 0:
        raise VolumeError(f"{path.name} is empty: copy or export it again.")
    if check is check_nifti:
        image = read_nifti(path, choice)
        _check_shape(image.GetSize(), 1, path.name)
        return image
    voxels = check(path, choice)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(_IMAGE_IO[check])
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        _check_shape(reader.GetSize(), reader.GetNumberOfComponents(), path.name)
        if math.prod(reader.GetSize()) != voxels:
            raise VolumeError(f"{path.name} has a header that can be read in two ways: export it again.")
        image = reader.Execute()
    except RuntimeError as error:
        raise VolumeError(f"{path.name} cannot be read by SimpleITK: it is damaged, export it again.") from error
    image = image[:, :, :, 0] if image.GetDimension() == 4 else image
    return Grid.of(image).image(sitk.GetArrayViewFromImage(image))  # a vector of one number becomes a number


def _check_name(path: Path) -> None:
    """SimpleITK takes names in UTF-8 alone, and messages are one line; POSIX systems allow any bytes."""
    if re.search("[\x00-\x1f\ud800-\udfff]", str(path)):
        raise VolumeError(f"{ascii(path.name)} has a name or folder with unreadable characters: rename it.")


def _suffix(path: Path, known: tuple[str, ...]) -> str:
    """The suffix that decides the format."""
    name = path.name.lower()
    if name.endswith((".hdr", ".img", ".hdr.gz", ".img.gz")):
        raise VolumeError(f"{path.name} belongs to a .hdr/.img pair: convert the pair to one .nii.gz file.")
    suffix = volume_suffix(name, known)
    if not suffix:
        raise VolumeError(f"{path.name} has an unknown format: use one of {', '.join(known)}.")
    return suffix


def _check_shape(size: tuple[int, ...], components: int, name: str) -> None:
    """Three axes of at least two voxels, one real number each."""
    text = " x ".join(map(str, size))
    if components != 1:
        raise VolumeError(f"{name} has {components} values per voxel, and one is needed: extract one component.")
    if len(size) < 3 or len(size) > 4:
        raise VolumeError(f"{name} has {len(size)} dimensions ({text}), and a 3D volume is needed.")
    if len(size) == 4 and size[3] != 1:
        raise VolumeError(f"{name} is a 4D series of {size[3]} frames: extract one frame and give that.")
    if min(size[:3]) < 2:
        raise VolumeError(f"{name} is a single slice ({text} voxels), and a 3D volume is needed: stack its slices.")


def _clean(image: sitk.Image, name: str) -> sitk.Image:
    """Check the geometry of an image; make its axes, rounded in many headers, exactly perpendicular; drop metadata."""
    grid = Grid.of(image)
    low, high = _SPACING_LIMITS
    if not all(low <= s <= high for s in grid.spacing):
        text = " x ".join(f"{s:.4g}" for s in grid.spacing)
        raise VolumeError(
            f"{name} has an impossible voxel size of {text} mm (possible: {low:g} to {high:g}): correct its header."
        )
    if not np.abs(grid.origin).max() < _FARTHEST_ORIGIN:
        text = ", ".join(f"{o:.4g}" for o in grid.origin)
        raise VolumeError(f"{name} has an impossible origin of ({text}) mm: correct its header.")
    axes = tuple(orthonormal_axes(np.array(grid.direction).reshape(3, 3), name).ravel().tolist())
    if axes == grid.direction and not image.GetMetaDataKeys():
        return image
    return replace(grid, direction=axes).image(sitk.GetArrayViewFromImage(image))


def _without_empty_background(image: sitk.Image, name: str, warnings: list[str]) -> sitk.Image:
    """NaN outside of the brain, as some tools mark what they did not measure, becomes 0 with a warning.

    Only where all of it is connected with the volume's faces: a hole inside stays, and is refused later.
    """
    values = sitk.GetArrayFromImage(image)
    empty = np.isnan(values)
    if not empty.any() or empty.all():
        return image
    pieces = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(empty.astype(np.uint8))))
    faces = [pieces.take(end, axis) for axis in range(3) for end in (0, -1)]
    if set(np.unique(pieces)) - {0} - set(np.unique(np.concatenate([face.ravel() for face in faces]))):
        return image
    warnings.append(f"{name} holds {int(empty.sum())} voxels without a value (NaN) around the scan; they became 0.")
    return Grid.of(image).image(np.where(empty, np.float32(0), values))


def _range(image: sitk.Image, name: str) -> tuple[float, float]:
    """The lowest and highest value, which are finite."""
    values = sitk.GetArrayViewFromImage(image)
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        count = sum(int(np.count_nonzero(~np.isfinite(z))) for z in values)
        raise VolumeError(
            f"{name} holds {count} voxels that are NaN or infinite: replace them, by 0 for example, and try again."
        )
    return low, high
