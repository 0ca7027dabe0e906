"""NRRD and MetaImage files that are wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.faults.table import Catalogue, Scene
from support.faults.volumes import text_volume
from support.volume_files import substitute

CATALOGUE = Catalogue()
add = CATALOGUE.add


def _refused(title: str, says: str, suffix: str, change: Callable[[Path], Any]) -> None:
    @add(title, says)
    def make(scene: Scene) -> list[Any]:
        path = text_volume(scene.folder / f"a{suffix}")
        change(path)
        return scene.predict(path)


def _replaced(title: str, says: str, suffix: str, old: str, new: str) -> None:
    _refused(title, says, suffix, lambda path: substitute(path, old, new))


def _shortened(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2000])


_refused("NRRD cut off", "is truncated", ".nrrd", _shortened)
_refused("MetaImage cut off", "is truncated", ".mha", _shortened)
_replaced("NRRD of 5000^3 voxels", "more than the", ".nrrd", "sizes: 22 20 12", "sizes: 5000 5000 5000")
_replaced("NRRD in metres", "lengths in m", ".nrrd", "endian: little", 'space units: "m" "m" "m"\nendian: little')
_replaced(
    "NRRD axes of 600 letters", "damaged header", ".nrrd", "space directions: (", "space directions: (" + "1" * 600
)
_replaced("NRRD without voxel sizes", "how large its voxels", ".nrrd", "space directions: ", "kind: ")
_replaced("NRRD of text named by its header", "which is not read", ".nrrd", "encoding: raw", "encoding: hex")
_replaced(
    "NRRD whose voxels lie in another folder",
    "in another folder",
    ".nrrd",
    "encoding: raw",
    "data file: /etc/passwd\nencoding: raw",
)
_replaced("MetaImage of 40 dimensions", "40 dimensions", ".mha", "NDims = 3", "NDims = 40")
_replaced(
    "MetaImage axes of -1.8e308",
    "impossible 'TransformMatrix'",
    ".mha",
    "TransformMatrix = -1",
    "TransformMatrix = -1.7e308",
)
_replaced(
    "MetaImage voxel size with a decimal comma",
    "damaged 'ElementSpacing'",
    ".mha",
    "ElementSpacing = 1 1 2",
    "ElementSpacing = 1,0 1,0 2,0",
)
_replaced(
    "MetaImage of three numbers a voxel",
    "3 values per voxel",
    ".mha",
    "ElementType",
    "ElementNumberOfChannels = 3\nElementType",
)
_replaced(
    "MetaImage with a rescaling",
    "rescales its intensities",
    ".mha",
    "ElementType",
    "ElementToIntensityFunctionSlope = 2\nElementType",
)
_replaced(
    "MetaImage whose voxels lie in many files",
    "several files",
    ".mha",
    "ElementDataFile = LOCAL",
    "ElementDataFile = LIST",
)
_replaced(
    "two places in one MetaImage header",
    "two different things by 'Offset'",
    ".mha",
    "ElementSpacing",
    "Position = 50 0 0\nElementSpacing",
)
_replaced(
    "two sets of axes in one MetaImage header",
    "two different things by 'TransformMatrix'",
    ".mha",
    "ElementSpacing",
    "Orientation = -1 0 0 0 1 0 0 0 1\nElementSpacing",
)
_replaced("NRRD with spacings and directions", "", ".nrrd", "endian: little", "spacings: 3 3 3\nendian: little")
_replaced("NRRD with no byte order", "", ".nrrd", "endian: little\n", "")
