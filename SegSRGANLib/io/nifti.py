"""NIfTI-1 and NIfTI-2 headers, checked before anything of the size that they announce is allocated.

SimpleITK reads a truncated file, a zero or negative voxel size or a series of vectors without a word, and fills in what
is missing. Here each of these is an error.
Source of the layouts and the rules: nifti1.h, https://nifti.nimh.nih.gov/nifti-1, and nifti2.h, .../nifti-2.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..data.grid import Grid
from ..utils.errors import VolumeError
from .nifti_affine import GeometryChoice, NiftiGeometry, nifti_grid
from .payload import Payload, check_payload, count_voxels

_DTYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8"} | {256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_NOT_SCALAR = {32: "complex", 1792: "complex", 2048: "complex", 128: "RGB", 2304: "RGBA"}
_MILLIMETRES = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # by spatial unit code: unknown, metre, millimetre, micrometre
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class _Layout:
    """Where a version of the format keeps its fields: struct code and first byte of each.

    size: of the header, bytes, which is also its first number. mark: of a file that holds header and voxels. pair: mark
    of a header alone.
    """

    size: int
    mark: bytes
    pair: bytes
    fields: Mapping[str, tuple[str, int]]

    @property
    def first_voxel(self) -> int:
        """The least byte where voxels start: behind the header and four bytes that announce extensions."""
        return self.size + 4


_NIFTI1 = _Layout(
    348,
    b"n+1\0",
    b"ni1\0",
    {
        "mark": ("4s", 344),
        "dim": ("8h", 40),
        "datatype": ("h", 70),
        "pixdim": ("4f", 76),
        "vox_offset": ("f", 108),
        "scl": ("2f", 112),
        "xyzt_units": ("B", 123),
        "qform_code": ("h", 252),
        "sform_code": ("h", 254),
        "quatern": ("3f", 256),
        "qoffset": ("3f", 268),
        "srow": ("12f", 280),
    },
)
_NIFTI2 = _Layout(
    540,
    b"n+2\0",
    b"ni2\0",
    {
        "mark": ("4s", 4),
        "datatype": ("h", 12),
        "dim": ("8q", 16),
        "pixdim": ("4d", 104),
        "vox_offset": ("q", 168),
        "scl": ("2d", 176),
        "qform_code": ("i", 344),
        "sform_code": ("i", 348),
        "quatern": ("3d", 352),
        "qoffset": ("3d", 376),
        "srow": ("12d", 400),
        "xyzt_units": ("i", 500),
    },
)


@dataclass(frozen=True)
class NiftiHeader:
    """A header that was found sound.

    grid: where the voxels lie. dtype: one stored number, with its byte order. offset: the byte, expanded, where the
    voxels start. slope, intercept: from stored numbers to intensities. compressed: whether the file is gzipped.
    """

    grid: Grid
    dtype: np.dtype
    offset: int
    slope: float
    intercept: float
    compressed: bool


def check_nifti(path: Path, choice: GeometryChoice = GeometryChoice()) -> NiftiHeader:  # noqa: B008 (frozen)
    """Check a .nii or .nii.gz file: header, length and checksum; nothing of the volume's size is allocated.

    Args:
        path: the file. choice: which description of its place counts.

    Raises:
        VolumeError: the header is not one of a 3D scalar volume, contradicts itself, or voxels are missing.
        OSError: the file cannot be read.
    """
    name = path.name
    compressed = name.lower().endswith(".gz")
    raw = _first_bytes(path, compressed)
    layout, order = _layout_and_order(raw, name)

    def field(key: str) -> tuple:
        code, place = layout.fields[key]
        return struct.unpack_from(order + code, raw, place)

    _check_mark(field("mark")[0], raw, layout, name)
    size = _size(field("dim"), name)
    voxels = count_voxels(size, name)
    dtype = _dtype(field("datatype")[0], order, name)
    offset = _first_voxel(field("vox_offset")[0], layout, name)
    slope, intercept = _scaling(*field("scl"), name)
    grid = nifti_grid(_geometry(field, size, name), name, choice)
    check_payload(Payload(path, 0, offset + voxels * dtype.itemsize, compressed), name)
    return NiftiHeader(grid, dtype, offset, slope, intercept, compressed)


def _first_bytes(path: Path, compressed: bool) -> bytes:
    """The header and the four bytes behind it, expanded."""
    with path.open("rb") as stream:
        start = stream.read(4096)
    if start[:2] == _GZIP and not compressed:
        raise VolumeError(f"{path.name} is compressed with gzip: rename it to {path.name}.gz.")
    if compressed:
        if start[:2] != _GZIP:
            raise VolumeError(f"{path.name} is not compressed with gzip: if it is a NIfTI file, rename it to .nii.")
        try:
            start = zlib.decompressobj(wbits=31).decompress(start, _NIFTI2.first_voxel)
        except zlib.error as error:
            raise VolumeError(f"{path.name} has damaged compressed data ({error}): copy it again.") from error
    return start[: _NIFTI2.first_voxel]


def _layout_and_order(raw: bytes, name: str) -> tuple[_Layout, str]:
    """The version, and '<' or '>', told from the header's first number, its own size."""
    versions = [(layout, order) for layout in (_NIFTI1, _NIFTI2) for order in "<>"]
    version = next(((v, order) for v, order in versions if raw[:4] == struct.pack(order + "i", v.size)), None)
    least = (_NIFTI1 if version is None else version[0]).first_voxel
    if len(raw) < least:
        raise VolumeError(
            f"{name} is too short for a NIfTI file ({len(raw)} bytes of {least}): it is truncated or something else; "
            "copy or export it again."
        )
    if version is None:
        raise VolumeError(f"{name} is not a NIfTI file, in spite of its name: export the volume again as .nii.gz.")
    return version


def _check_mark(mark: bytes, raw: bytes, layout: _Layout, name: str) -> None:
    """A file of header and voxels; NIfTI-2 has line ends behind its mark, which show whether it came through whole."""
    if mark == layout.pair:
        raise VolumeError(f"{name} is the header of a .hdr/.img pair: convert the pair to one .nii.gz file.")
    if mark != layout.mark:
        wanted = layout.mark[:3].decode()
        raise VolumeError(f"{name} lacks the mark of a NIfTI file ('{wanted}'): convert it to .nii.gz.")
    if layout is _NIFTI2 and raw[8:12] != b"\r\n\x1a\n":
        raise VolumeError(f"{name} was changed on its way, as text is: copy it again, as a binary file.")


def _size(dim: Sequence[int], name: str) -> tuple[int, int, int]:
    """Voxels along x, y, z from `dim`, whose first number counts the axes."""
    axes, size, others = dim[0], dim[1:4], dim[4 : dim[0] + 1]
    if not 1 <= axes <= 7:
        raise VolumeError(f"{name} has a header of {axes} dimensions: its header is damaged, export it again.")
    if axes < 3:
        raise VolumeError(f"{name} has {axes} dimensions, and a 3D volume is needed: stack its slices first.")
    if min(others, default=1) < 0:
        raise VolumeError(f"{name} has an impossible size of {tuple(dim[1 : axes + 1])}: export it again.")
    if axes >= 4 and dim[4] > 1:
        raise VolumeError(f"{name} is a 4D series of {dim[4]} frames: extract one frame and give that.")
    if max(others, default=1) > 1:
        raise VolumeError(f"{name} has {max(others)} values per voxel, and one is needed: extract one component.")
    return size[0], size[1], size[2]


def _dtype(code: int, order: str, name: str) -> np.dtype:
    """The type of one stored number."""
    if code in _NOT_SCALAR:
        raise VolumeError(
            f"{name} has {_NOT_SCALAR[code]} voxels, and one real number per voxel is needed: "
            "export its magnitude or one component."
        )
    if code not in _DTYPES:
        raise VolumeError(f"{name} has the voxel type {code}, which is not read: export it as float32 or int16.")
    return np.dtype(order + _DTYPES[code])


def _first_voxel(offset: float, layout: _Layout, name: str) -> int:
    """The byte where the voxels start."""
    if not (math.isfinite(offset) and offset >= layout.first_voxel and offset == int(offset)):
        raise VolumeError(
            f"{name} says that its voxels start at byte {offset:g}, inside its own header: export it again."
        )
    return int(offset)


def _scaling(slope: float, intercept: float, name: str) -> tuple[float, float]:
    """Slope and intercept; without a slope the numbers stand for themselves (SimpleITK would add the intercept)."""
    if slope == 0 or not math.isfinite(slope):
        return 1.0, 0.0
    if not math.isfinite(intercept):
        raise VolumeError(f"{name} has an intensity intercept of {intercept:g}: correct its header or export it again.")
    return slope, intercept


def _geometry(field: Callable[[str], tuple], size: tuple[int, int, int], name: str) -> NiftiGeometry:
    """The header's numbers about space."""
    units = field("xyzt_units")[0] & 7
    if units not in _MILLIMETRES:
        raise VolumeError(f"{name} has an unknown unit of length (code {units}): export it again in millimetres.")
    pixdim = field("pixdim")
    return NiftiGeometry(
        size=size,
        spacing=pixdim[1:],
        handedness=-1.0 if pixdim[0] < 0 else 1.0,
        qform_code=field("qform_code")[0],
        sform_code=field("sform_code")[0],
        quaternion=field("quatern"),
        offset=field("qoffset"),
        rows=field("srow"),
        millimetres=_MILLIMETRES[units],
    )


def read_nifti(path: Path, choice: GeometryChoice = GeometryChoice()) -> sitk.Image:  # noqa: B008 (frozen)
    """Read a .nii or .nii.gz file as a 3D image (LPS, mm) of the file's voxel type, or of floats if it is scaled.

    Raises:
        VolumeError: see `check_nifti`.
        OSError: the file cannot be read.
    """
    header = check_nifti(path, choice)
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
