"""The header of a model file, read and checked without torch or safetensors.

A safetensors file is 8 bytes with the length of its header, the header (JSON: type, shape and place of each tensor, and
metadata), and the tensors' bytes. Listing and importing need no more than that, so that Slicer's panel can do both
before anything is installed.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..utils.errors import CheckpointError

METADATA_KEY = "segsrgan"
# what metadata of another version, or of a hostile file, raise when they are read
UNUSABLE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError, MemoryError)
_LONGEST_HEADER = 100_000_000  # bytes; the limit of safetensors itself
_DTYPES = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4")}  # those that `save_checkpoint` writes


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies: its first byte, counted from the start of the file."""

    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int


@dataclass(frozen=True)
class Header:
    """The checked header of a model file.

    description: the JSON object with `architecture`, `config` and `card`.
    """

    description: Mapping[str, Any]
    tensors: Mapping[str, StoredTensor]


def is_keras_file(path: str | Path) -> bool:
    """Whether a file starts as HDF5 files do, such as the weight files of the original project."""
    with Path(path).open("rb") as stream:
        return stream.read(8) == b"\x89HDF\r\n\x1a\n"


def read_header(path: Path) -> Header:
    """Read the header of a model file, and compare the tensors that it lists with the size of the file.

    Raises:
        CheckpointError: missing, truncated, damaged or foreign file.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no model file {path}.")
    try:
        listed, data_start = _listed(path)
        tensors = _tensors(listed, data_start, path.stat().st_size)
    except (OSError, struct.error, *UNUSABLE) as error:
        raise CheckpointError(
            f"{path.name} is not a model file of this software, or is damaged ({error!s:.200})."
        ) from error
    metadata = listed.get("__metadata__")
    if not isinstance(metadata, dict) or METADATA_KEY not in metadata:
        raise CheckpointError(f"{path.name} has no metadata of SegSRGAN: it is another project's safetensors file.")
    try:
        description = json.loads(metadata[METADATA_KEY])
    except UNUSABLE as error:
        raise cannot_build(path, error) from error
    if not isinstance(description, dict):
        raise cannot_build(path, ValueError("its description is no JSON object"))
    return Header(description, tensors)


def check_finite(path: Path, header: Header) -> None:
    """Read all tensors of a model file.

    Raises:
        CheckpointError: a value is not finite.
    """
    for name, tensor in header.tensors.items():
        count = prod(tensor.shape)
        if not np.isfinite(np.fromfile(path, tensor.dtype, count, offset=tensor.offset)).all():
            raise CheckpointError(f"{path.name}: the weight {name} holds values that are not finite.")


def cannot_build(path: Path, error: Exception) -> CheckpointError:
    """The sentence about metadata that raised one of `UNUSABLE`."""
    return CheckpointError(
        f"{path.name} describes a model that this version ({__version__}) cannot build ({error!r:.200})."
    )


def _listed(path: Path) -> tuple[dict[str, Any], int]:
    """The JSON object of the header, and the byte at which the tensors start."""
    with path.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        if length > _LONGEST_HEADER:
            raise ValueError(f"a header of {length} bytes")
        text = stream.read(length)
    if len(text) < length:
        raise ValueError("the file ends inside its header")
    listed = json.loads(text)
    if not isinstance(listed, dict):
        raise ValueError("its header is no JSON object")
    return listed, 8 + length


def _tensors(listed: Mapping[str, Any], data_start: int, size: int) -> dict[str, StoredTensor]:
    """The tensors of a header, which must fill the rest of a file of `size` bytes without gaps or overlaps."""
    tensors = {}
    end = 0
    entries = {name: values for name, values in listed.items() if name != "__metadata__"}
    for name, values in sorted(entries.items(), key=lambda entry: entry[1]["data_offsets"]):
        first, last = values["data_offsets"]
        shape = tuple(values["shape"])
        if values["dtype"] not in _DTYPES or not all(type(extent) is int and extent >= 0 for extent in shape):
            raise ValueError(f"the weight {name} is no array of 16 or 32 bit numbers")
        dtype = _DTYPES[values["dtype"]]
        if first != end or last - first != prod(shape) * dtype.itemsize:
            raise ValueError(f"the weight {name} is not where it should be")
        tensors[name] = StoredTensor(dtype, shape, data_start + first)
        end = last
    if data_start + end != size:
        raise ValueError(f"{size} bytes instead of {data_start + end}")
    return tensors
