"""Volumes as the page gets them: NIfTI of small integers, not larger than a browser can hold."""

from __future__ import annotations

import gzip
import math
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...inference.record import image_hash
from ...io.volume import read_labels, read_volume

MOST_VOXELS = 48_000_000  # of one volume: 96 MB of int16 as a texture on the graphics card
_SCALE = 32_000.0  # int16 has 32,767
_SCL_SLOPE, _SCL_INTER = 112, 116  # bytes of the NIfTI-1 header


@dataclass(frozen=True)
class Payload:
    """One volume for the page.

    content: NIfTI. shrunk: voxels of the file along a side of one voxel shown (1: all). volumes_ml: of label 1, 2 ...,
    counted in the file's voxels.
    """

    content: bytes
    shrunk: int
    low: float
    high: float
    volumes_ml: tuple[float, ...] = ()


def intensity_payload(path: Path) -> Payload:
    """A super-resolved volume or a map, as int16 with its scale in the header.

    Raises:
        VolumeError: see `io.read_volume`.
    """
    return _intensities(read_volume(path))


def scan_payload(path: Path, sha256: str | None) -> tuple[Payload, bool]:
    """A scan, and whether it has the voxels of a recorded one (true where nothing is recorded).

    Args:
        path: anything that `io.read_volume` reads. sha256: see `record.image_hash`.

    Raises:
        VolumeError: see `io.read_volume`.
    """
    image = read_volume(path)
    return _intensities(image), sha256 is None or image_hash(image) == sha256


def _intensities(image: sitk.Image) -> Payload:
    image, shrunk = _shrunk(image, labels=False)
    values = sitk.GetArrayViewFromImage(image).astype(np.float32)
    largest = float(np.abs(values).max()) or 1.0
    scaled = sitk.GetImageFromArray(np.round(values * (_SCALE / largest)).astype(np.int16))
    scaled.CopyInformation(image)
    low, high = (float(v) for v in np.quantile(values[:: max(1, len(values) // 64)], (0.005, 0.999)))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    return Payload(_nifti(scaled, largest / _SCALE), shrunk, low, high)


def label_payload(path: Path) -> Payload:
    """A segmentation or mask, as uint8.

    Raises:
        VolumeError: see `io.read_labels`.
    """
    whole = sitk.Cast(read_labels(path), sitk.sitkUInt8)
    voxel = math.prod(whole.GetSpacing()) / 1000
    # by slices: counting needs eight bytes a voxel
    counts = np.sum([np.bincount(z.ravel(), minlength=256) for z in sitk.GetArrayViewFromImage(whole)], axis=0)
    image, shrunk = _shrunk(whole, labels=True)
    largest = float(np.flatnonzero(counts)[-1])
    return Payload(_nifti(image, 1.0), shrunk, 0.0, largest, tuple(float(n) * voxel for n in counts[1:]))


def compressed(payload: Payload) -> bytes:
    """The content as .nii.gz, for a page in one file."""
    return gzip.compress(payload.content, compresslevel=6, mtime=0)


def _shrunk(image: sitk.Image, labels: bool) -> tuple[sitk.Image, int]:
    """A volume that a browser can hold: every n-th voxel of labels, the mean of n x n x n intensities."""
    factor = max(1, math.ceil((math.prod(image.GetSize()) / MOST_VOXELS) ** (1 / 3)))
    if factor == 1:
        return image, 1
    factors = [min(factor, size) for size in image.GetSize()]
    return (sitk.Shrink(image, factors) if labels else sitk.BinShrink(image, factors)), factor


def _nifti(image: sitk.Image, slope: float) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "volume.nii"
        sitk.WriteImage(image, str(path))
        content = bytearray(path.read_bytes())
    struct.pack_into("<f", content, _SCL_SLOPE, slope)
    struct.pack_into("<f", content, _SCL_INTER, 0.0)
    return bytes(content)
