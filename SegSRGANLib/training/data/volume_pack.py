"""Training volumes in one small file that needs numpy alone to be read.

A machine with a GPU is often one without SimpleITK, without a network and with a limit on what may travel. So the
volumes are read, checked, cropped and scaled beforehand, and packed: intensities in ten bits, as differences along the
rows, and label maps, both compressed by LZMA inside a ZIP archive.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ...utils.atomic_files import atomic_path

_LEVELS = 1023  # ten bits: an error of 0.04 % of the scale, far below the noise of any scan
_CEILING = 1.5  # times the scale: what is brighter is cut


@dataclass(frozen=True)
class PackedVolume:
    """One brain in LPS order: intensity (z, y, x) float32 on the scale of its 99.5th percentile, None for labels alone.

    labels: (z, y, x) uint8. spacing: mm, isotropic. weight: how often it is drawn, relative to others.
    averaged: a mean of many brains, smoother than any. held_out: not to learn from.
    """

    name: str
    intensity: np.ndarray | None
    labels: np.ndarray
    spacing: float
    weight: float = 1.0
    averaged: bool = False
    held_out: bool = False


@dataclass(frozen=True)
class _Entry:
    name: str
    shape: tuple[int, int, int]
    has_intensity: bool
    spacing: float
    weight: float
    averaged: bool
    held_out: bool


def write_pack(path: str | Path, volumes: Iterable[PackedVolume]) -> None:
    """Write volumes into one file, in the form that the head of this module describes; an existing file is replaced."""
    entries = []
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_LZMA) as archive:
        for index, volume in enumerate(volumes):
            shape, has_intensity = volume.labels.shape, volume.intensity is not None
            facts = (volume.spacing, volume.weight, volume.averaged, volume.held_out)
            entries.append(_Entry(volume.name, shape, has_intensity, *facts))  # type: ignore[arg-type]
            archive.writestr(f"{index}.labels", volume.labels.astype(np.uint8).tobytes())
            if volume.intensity is not None:
                archive.writestr(f"{index}.intensity", _encoded(volume.intensity))
        archive.writestr("volumes.json", json.dumps([asdict(entry) for entry in entries]))


def read_pack(path: str | Path) -> list[PackedVolume]:
    """Read all volumes of a file that `write_pack` wrote.

    Raises:
        ValueError: the file is missing or is no such file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [_Entry(**values) for values in json.loads(archive.read("volumes.json"))]
            return [_decoded(archive, index, entry) for index, entry in enumerate(entries)]
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a pack of training volumes ({error}); write one anew.") from error


def _decoded(archive: zipfile.ZipFile, index: int, entry: _Entry) -> PackedVolume:
    shape = tuple(entry.shape)
    labels = np.frombuffer(archive.read(f"{index}.labels"), np.uint8).reshape(shape)
    intensity = None
    if entry.has_intensity:
        halves = np.frombuffer(archive.read(f"{index}.intensity"), np.uint8).reshape(2, *shape).astype(np.uint16)
        levels = np.cumsum((halves[0] << 8) | halves[1], axis=2, dtype=np.uint16)
        intensity = levels.astype(np.float32) * np.float32(_CEILING / _LEVELS)
    facts = (entry.spacing, entry.weight, entry.averaged, entry.held_out)
    return PackedVolume(entry.name, intensity, labels, *facts)


def _encoded(intensity: np.ndarray) -> bytes:
    """Ten-bit levels as differences modulo 2^16 along the rows, their high bytes before their low ones."""
    levels = np.rint(np.clip(intensity, 0, _CEILING) * (_LEVELS / _CEILING)).astype(np.uint16)
    differences = np.diff(levels, axis=2, prepend=np.uint16(0)).astype(np.uint16)
    buffer = io.BytesIO()
    buffer.write((differences >> 8).astype(np.uint8).tobytes())
    buffer.write((differences & 0xFF).astype(np.uint8).tobytes())
    return buffer.getvalue()
