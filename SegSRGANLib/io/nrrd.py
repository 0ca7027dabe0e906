"""NRRD headers, checked before SimpleITK allocates the volume they announce.

SimpleITK checks neither the checksum of compressed voxels nor the unit of length, and asks for the memory first.
Source of the format: http://teem.sourceforge.net/nrrd/format.html.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..utils.errors import VolumeError
from .nifti_affine import GeometryChoice
from .payload import FARTHEST, Payload, check_payload, count_voxels, data_file, shown

_MAX_HEADER = 2**20  # bytes; long headers hold a segmentation's names and colours, never this much
_LONGEST_WORD = 200  # characters; SimpleITK's reader puts words into buffers of a fixed size
_FREE_TEXT = ("content", "data file")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_BYTES_PER_VOXEL = {
    **dict.fromkeys(("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"), 1),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), 2),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), 2),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t", "uint", "unsigned int", "uint32", "uint32_t"), 4),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "signed long long int"), 8),
    **dict.fromkeys(("int64", "int64_t", "ulonglong", "unsigned long long", "unsigned long long int"), 8),
    **dict.fromkeys(("uint64", "uint64_t"), 8),
    "float": 4,
    "double": 8,
}
_BYTES_PER_DIGITS = {"ascii": 2, "text": 2, "txt": 2}  # the shortest number and a blank
_ANATOMICAL = ("left-posterior-superior", "right-anterior-superior", "left-anterior-superior", "lps", "ras", "las")
_SAME_FIELD = {"datafile": "data file", "lineskip": "line skip", "byteskip": "byte skip"}


def check_nrrd(path: Path, choice: GeometryChoice = GeometryChoice()) -> int:  # noqa: B008 (frozen)
    """Check a .nrrd or .nhdr file: header, length and checksum; nothing of the volume's size is allocated.

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
    missing = [key for key in ("type", "dimension", "sizes", "encoding") if key not in fields]
    if missing:
        raise VolumeError(f"{name} has no '{missing[0]}' in its header: it is damaged, export it again.")
    size = _size(fields, name)
    _check_geometry(fields, len(size), name)
    if fields.get("space", "").lower() not in _ANATOMICAL:
        choice.warn(f"{name} does not say how it lies in space (no anatomical 'space'): LPS axes assumed.")
    voxels = count_voxels(size, name)
    check_payload(_payload(path, fields, end, voxels), name)
    return voxels


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """The header's fields, and the byte where it ends (voxels follow unless they are in another file)."""
    name = path.name
    with path.open("rb") as stream:
        start = stream.read(_MAX_HEADER)
    if not (start.startswith(b"NRRD000") and start[7:8] in b"12345" and start[8:9] in (b"\n", b"\r")):
        raise VolumeError(f"{name} is not an NRRD file, in spite of its name: export the volume again.")
    fields: dict[str, str] = {}
    end = 0
    for number, line in enumerate(start.splitlines(keepends=True)):
        end += len(line)
        text = line.decode("latin-1").strip()
        if not text:
            return fields, end
        if number == 0 or text.startswith("#") or ":=" in text:  # the mark, comments, a user's own entries
            continue
        key, colon, value = text.partition(": ")
        key = _SAME_FIELD.get(key.lower(), key.lower())
        if not colon or key in fields:
            raise VolumeError(f"{name} has a damaged header, in the line '{shown(text)}': export it again.")
        if key not in _FREE_TEXT and any(len(word) > _LONGEST_WORD for word in value.split()):
            raise VolumeError(f"{name} has a damaged header, in the line '{shown(text)}': export it again.")
        fields[key] = value.strip()
    if end < _MAX_HEADER and "data file" in fields:  # no empty line is needed before the end of the file
        return fields, end
    raise VolumeError(f"{name} has a header without an end: it is truncated, copy it again.")


def _size(fields: dict[str, str], name: str) -> list[int]:
    try:
        dimension = int(fields["dimension"])
        size = [int(n) for n in fields["sizes"].split()]
    except ValueError:
        raise VolumeError(f"{name} has sizes that are not whole numbers ('{shown(fields['sizes'])}').") from None
    if len(size) != dimension:
        raise VolumeError(f"{name} has {len(size)} sizes for {dimension} dimensions: export it again.")
    if not 3 <= dimension <= 4:
        raise VolumeError(f"{name} has {dimension} dimensions, and a 3D volume is needed: extract one volume.")
    if dimension == 4 and 1 not in size:
        text = " x ".join(map(str, size))
        raise VolumeError(f"{name} holds several frames or components ({text}): extract one volume and give that.")
    return size


def _check_geometry(fields: dict[str, str], dimension: int, name: str) -> None:
    """Every axis of space has a voxel size in mm; SimpleITK takes 1 for a missing one, and any unit for mm."""
    units = set(fields.get("space units", fields.get("units", "")).replace('"', " ").split()) - {"mm", "???", "none"}
    if units:
        raise VolumeError(f"{name} has lengths in {shown(', '.join(sorted(units)))}: export it in mm.")
    text = fields.get("space directions", fields.get("spacings", ""))
    axes = re.findall(r"\([^)]*\)|\S+", text)
    known = [axis for axis in axes if axis.lower() not in ("none", "nan", "???")]
    if len(axes) != dimension or len(known) < 3:
        raise VolumeError(f"{name} does not say how large its voxels are ('{shown(text)}'): export it again.")
    origin = [fields["space origin"]] if "space origin" in fields else []
    for numbers in (*known, *origin):
        if not _are_lengths(numbers, dimension):
            raise VolumeError(f"{name} has a damaged place or voxel size ('{shown(numbers)}'): export it again.")


def _are_lengths(text: str, dimension: int) -> bool:
    """Whether it is one number, or one for each axis of space as (x,y,z): SimpleITK crashes on other text."""
    vector = text.startswith("(") and text.endswith(")")
    words = [word.strip() for word in text[1:-1].split(",")] if vector else [text]
    if len(words) not in ((3, dimension) if vector else (1,)) or not all(_NUMBER.fullmatch(word) for word in words):
        return False
    return all(abs(float(word)) <= FARTHEST for word in words)


def _payload(path: Path, fields: dict[str, str], end: int, voxels: int) -> Payload:
    name = path.name
    encoding = fields["encoding"].lower()
    if _number(fields, "line skip", name) != 0:
        raise VolumeError(f"{name} skips lines before its voxels ('line skip'), which is not read: export it again.")
    skip = _number(fields, "byte skip", name)
    raw = encoding == "raw"
    if skip < -1 or (skip and not raw):
        raise VolumeError(f"{name} has a 'byte skip' of {skip} for '{shown(encoding)}' voxels: export it again.")
    if encoding in _BYTES_PER_DIGITS:
        each = _BYTES_PER_DIGITS[encoding]
    elif fields["type"].lower() in _BYTES_PER_VOXEL:
        each = _BYTES_PER_VOXEL[fields["type"].lower()]
    else:
        raise VolumeError(f"{name} has the voxel type '{shown(fields['type'])}', which is not read: export float.")
    if encoding not in ("raw", "gzip", "gz", *_BYTES_PER_DIGITS):
        raise VolumeError(f"{name} is encoded as '{shown(encoding)}', which is not read: export it as 'gzip' or 'raw'.")
    file = data_file(path, fields["data file"].removeprefix("./")) if "data file" in fields else path
    return Payload(
        file=file,
        offset=(0 if "data file" in fields else end) + max(skip, 0),
        size=voxels * each - (encoding in _BYTES_PER_DIGITS),  # no blank after the last number
        compressed=encoding in ("gzip", "gz"),
        from_end=skip == -1 or encoding in _BYTES_PER_DIGITS,
    )


def _number(fields: dict[str, str], key: str, name: str) -> int:
    try:
        return int(fields.get(key, "0"))
    except ValueError:
        raise VolumeError(f"{name} has a '{key}' that is not a number: export it again.") from None
