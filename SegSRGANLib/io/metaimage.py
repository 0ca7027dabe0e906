"""MetaImage headers (.mha, .mhd), checked before SimpleITK sees the file.

SimpleITK's reader believes the header: a wrong number of dimensions ends the process, and damaged compressed voxels
are returned as noise. So only headers whose every known line is well formed get there.
Source of the format: https://itk.org/Wiki/ITK/MetaIO/Documentation.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from ..utils.errors import VolumeError
from .nifti_affine import GeometryChoice
from .payload import FARTHEST, Payload, check_payload, count_voxels, data_file, shown

_MAX_HEADER = 2**16  # bytes
_MAX_LINE = 480  # the reader's own buffer is 500
_BYTES_PER_VOXEL = {
    **dict.fromkeys(("MET_CHAR", "MET_UCHAR"), 1),
    **dict.fromkeys(("MET_SHORT", "MET_USHORT"), 2),
    **dict.fromkeys(("MET_INT", "MET_UINT", "MET_FLOAT"), 4),
    **dict.fromkeys(("MET_LONG_LONG", "MET_ULONG_LONG", "MET_DOUBLE"), 8),
}
# How many numbers follow these keys, for n dimensions.
_LENGTHS = {
    **dict.fromkeys(("DimSize", "ElementSpacing", "ElementSize"), lambda n: n),
    **dict.fromkeys(("Offset", "Origin", "Position", "CenterOfRotation"), lambda n: n),
    **dict.fromkeys(("TransformMatrix", "Rotation", "Orientation"), lambda n: n * n),
    **dict.fromkeys(("NDims", "HeaderSize", "CompressedDataSize", "ElementNumberOfChannels"), lambda n: 1),
    **dict.fromkeys(("ElementToIntensityFunctionSlope", "ElementToIntensityFunctionOffset"), lambda n: 1),
}
_AXES = ("ElementSpacing", "ElementSize", "TransformMatrix", "Rotation", "Orientation")
_SYNONYMS = (("Offset", "Origin", "Position"), ("TransformMatrix", "Rotation", "Orientation"))
_UNITS = ("mm", "?", "unknown")


def check_metaimage(path: Path, choice: GeometryChoice = GeometryChoice()) -> int:  # noqa: B008 (frozen)
    """Check a .mha or .mhd file: header, length and checksum; nothing of the volume's size is allocated.

    Args:
        path: the file. choice: is told when the place in space is not certain.

    Returns:
        The number of voxels.

    Raises:
        VolumeError: the header is damaged, announces what is not read here, or voxels are missing.
        OSError: the file cannot be read.
    """
    name = path.name
    fields, end = _fields(path)
    dimension = _integers(fields, "NDims", 0, name)[0]
    if not 3 <= dimension <= 4:
        raise VolumeError(f"{name} has {dimension} dimensions, and a 3D volume is needed: extract one volume.")
    for key in fields.keys() & _LENGTHS.keys():
        numbers = _numbers(fields, key, dimension, name)
        if key in _AXES and max(map(abs, numbers)) > FARTHEST:
            raise VolumeError(f"{name} has an impossible '{key}' ('{shown(fields[key])}'): export it again.")
    size = _integers(fields, "DimSize", dimension, name)
    if dimension == 4 and size[3] > 1:
        raise VolumeError(f"{name} is a 4D series of {size[3]} frames: extract one frame and give that.")
    _check_meaning(fields, dimension, name)
    if not fields.keys() & {"TransformMatrix", "Rotation", "Orientation"}:
        choice.warn(f"{name} does not say how it lies in space (no 'TransformMatrix'): LPS axes assumed.")
    voxels = count_voxels(size, name)
    check_payload(_payload(path, fields, end, voxels), name)
    return voxels


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """The header's fields, and the byte where it ends."""
    name = path.name
    with path.open("rb") as stream:
        start = stream.read(_MAX_HEADER)
    fields: dict[str, str] = {}
    end = 0
    for line in start.split(b"\n"):
        end += len(line) + 1
        text = line.decode("latin-1").strip()
        match = re.fullmatch(r"([^=:\x00-\x1f]{1,200}?)\s*[=:]\s*([^\x00-\x1f]*)", text)
        if not fields and not (match and match[1] in ("ObjectType", "NDims", "Comment")):
            raise VolumeError(f"{name} is not a MetaImage file, in spite of its name: export the volume again.")
        if not text:
            continue
        if not match or len(line) > _MAX_LINE or match[1] in fields:
            raise VolumeError(f"{name} has a damaged header, in the line '{shown(text)}': export it again.")
        fields[match[1]] = match[2]
        if match[1] == "ElementDataFile":  # always the last line
            return fields, end
    raise VolumeError(f"{name} has a header without 'ElementDataFile': it is truncated, copy it again.")


def _numbers(fields: dict[str, str], key: str, dimension: int, name: str) -> list[float]:
    """The finite numbers that follow a key, as many as there must be."""
    if key not in fields:
        raise VolumeError(f"{name} has no '{key}' in its header: it is damaged, export it again.")
    try:
        numbers = [float(text.replace("_", "?")) for text in fields[key].split()]
    except ValueError:
        numbers = []
    if len(numbers) != _LENGTHS[key](dimension) or not all(map(math.isfinite, numbers)):
        raise VolumeError(f"{name} has a damaged '{key}' ('{shown(fields[key])}'): export it again.")
    return numbers


def _integers(fields: dict[str, str], key: str, dimension: int, name: str) -> list[int]:
    numbers = _numbers(fields, key, dimension, name)
    if not all(text.lstrip("-").isdecimal() for text in fields[key].split()):
        raise VolumeError(f"{name} has a damaged '{key}' ('{shown(fields[key])}'): export it again.")
    return [int(number) for number in numbers]


def _check_meaning(fields: dict[str, str], dimension: int, name: str) -> None:
    """Refuse what SimpleITK would read as something else, without a word."""
    if "ElementNumberOfChannels" in fields:
        channels = _integers(fields, "ElementNumberOfChannels", dimension, name)[0]
        if channels != 1:
            raise VolumeError(f"{name} has {channels} values per voxel, and one is needed: extract one component.")
    unit = fields.get("DistanceUnits", "mm")
    if unit not in _UNITS:
        raise VolumeError(f"{name} has lengths in {shown(unit)}: export it in mm.")
    spacing = fields.get("ElementSpacing", fields.get("ElementSize"))
    if spacing is None:
        raise VolumeError(f"{name} does not say how large its voxels are ('ElementSpacing'): export it again.")
    for words in _SYNONYMS:
        if len({tuple(map(float, fields[word].split())) for word in words if word in fields}) > 1:
            raise VolumeError(f"{name} says two different things by '{words[0]}' and its other names: export it again.")
    if min(map(float, spacing.split()[:3])) <= 0:
        raise VolumeError(f"{name} has an impossible voxel size of {shown(spacing)} mm: export it again.")
    for key, neutral in (("ElementToIntensityFunctionSlope", 1), ("ElementToIntensityFunctionOffset", 0)):
        if key in fields and float(fields[key]) != neutral:
            raise VolumeError(f"{name} rescales its intensities ('{key}'), which is not read: export it without.")


def _payload(path: Path, fields: dict[str, str], end: int, voxels: int) -> Payload:
    name = path.name
    element = fields.get("ElementType", "")
    if element not in _BYTES_PER_VOXEL:
        raise VolumeError(f"{name} has the voxel type '{shown(element)}', which is not read: export it as float.")
    compressed = _boolean(fields, "CompressedData", False, name)
    if not _boolean(fields, "BinaryData", True, name):
        raise VolumeError(f"{name} has its voxels written out as text, which is not read: export it as binary data.")
    local = fields["ElementDataFile"].upper() == "LOCAL"
    skip = _integers(fields, "HeaderSize", 0, name)[0] if "HeaderSize" in fields else 0
    if skip < -1 or (skip and (local or compressed)):
        raise VolumeError(f"{name} has a damaged 'HeaderSize' ({skip}): export it again.")
    stored = _integers(fields, "CompressedDataSize", 0, name)[0] if compressed else None
    if stored is not None and stored < 1:
        raise VolumeError(f"{name} has a damaged 'CompressedDataSize' ({stored}): export it again.")
    return Payload(
        file=path if local else data_file(path, fields["ElementDataFile"]),
        offset=end if local else max(skip, 0),
        size=voxels * _BYTES_PER_VOXEL[element],
        compressed=compressed,
        stored=stored,
        from_end=skip == -1,
    )


def _boolean(fields: dict[str, str], key: str, default: bool, name: str) -> bool:
    text = fields.get(key, str(default)).lower()
    if text not in ("true", "false"):
        raise VolumeError(f"{name} has a damaged '{key}' ('{shown(text)}'): export it again.")
    return text == "true"
