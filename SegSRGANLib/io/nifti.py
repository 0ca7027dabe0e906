"""NIfTI-1 headers, checked before anything of the size that they announce is allocated.

SimpleITK reads a truncated file, a zero or negative voxel size or a series of vectors without a word, and fills in what
is missing. Here each of these is an error.
Source of the layout and the rules: nifti1.h, https://nifti.nimh.nih.gov/nifti-1.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..data.grid import Grid
from ..utils.errors import VolumeError
from .nifti_affine import NiftiGeometry, nifti_grid
from .payload import Payload, check_payload, count_voxels

_HEADER_SIZE = 348
_FIRST_VOXEL = 352  # header, and four bytes that announce extensions
_NIFTI2_SIZE = 540
_DTYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8"} | {256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_NOT_SCALAR = {32: "complex", 1792: "complex", 2048: "complex", 128: "RGB", 2304: "RGBA"}
_MILLIMETRES = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # by spatial unit code: unknown, metre, millimetre, micrometre
_GZIP = b"\x1f\x8b"


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


def check_nifti(path: Path) -> NiftiHeader:
    """Check a .nii or .nii.gz file: header, length and checksum; nothing of the volume's size is allocated.

    Raises:
        VolumeError: the header is not one of a 3D scalar volume, contradicts itself, or voxels are missing.
        OSError: the file cannot be read.
    """
    name = path.name
    compressed = name.lower().endswith(".gz")
    raw = _first_bytes(path, compressed)
    order = _byte_order(raw, name)

    def field(code: str, offset: int) -> tuple:
        return struct.unpack_from(order + code, raw, offset)

    if raw[344:348] == b"ni1\0":
        raise VolumeError(f"{name} is the header of a .hdr/.img pair: convert the pair to one .nii.gz file.")
    if raw[344:348] != b"n+1\0":
        raise VolumeError(f"{name} lacks the mark of a NIfTI-1 file ('n+1'): convert it to .nii.gz.")
    size = _size(field("8h", 40), name)
    voxels = count_voxels(size, name)
    dtype = _dtype(field("h", 70)[0], order, name)
    offset = _first_voxel(field("f", 108)[0], name)
    slope, intercept = _scaling(*field("2f", 112), name)
    grid = nifti_grid(_geometry(field, size, name), name)
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
            start = zlib.decompressobj(wbits=31).decompress(start, _FIRST_VOXEL)
        except zlib.error as error:
            raise VolumeError(f"{path.name} has damaged compressed data ({error}): copy it again.") from error
    return start[:_FIRST_VOXEL]


def _byte_order(raw: bytes, name: str) -> str:
    """'<' or '>', told from the header's first number, its own size."""
    if len(raw) < _FIRST_VOXEL:
        raise VolumeError(
            f"{name} is too short for a NIfTI file ({len(raw)} bytes of {_FIRST_VOXEL}): it is truncated or "
            "something else; copy or export it again."
        )
    for order in "<>":
        (declared,) = struct.unpack_from(order + "i", raw)
        if declared == _HEADER_SIZE:
            return order
        if declared == _NIFTI2_SIZE:
            raise VolumeError(f"{name} is a NIfTI-2 file, which is not read: convert it to NIfTI-1.")
    raise VolumeError(f"{name} is not a NIfTI file, in spite of its name: export the volume again as .nii.gz.")


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


def _first_voxel(offset: float, name: str) -> int:
    """The byte where the voxels start."""
    if not (math.isfinite(offset) and offset >= _FIRST_VOXEL and offset == int(offset)):
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


def _geometry(field: Callable[[str, int], tuple], size: tuple[int, int, int], name: str) -> NiftiGeometry:
    """The header's numbers about space."""
    units = field("B", 123)[0] & 7
    if units not in _MILLIMETRES:
        raise VolumeError(f"{name} has an unknown unit of length (code {units}): export it again in millimetres.")
    pixdim = field("4f", 76)
    return NiftiGeometry(
        size=size,
        spacing=pixdim[1:],
        handedness=-1.0 if pixdim[0] < 0 else 1.0,
        qform_code=field("h", 252)[0],
        sform_code=field("h", 254)[0],
        quaternion=field("3f", 256),
        offset=field("3f", 268),
        rows=field("12f", 280),
        millimetres=_MILLIMETRES[units],
    )


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
