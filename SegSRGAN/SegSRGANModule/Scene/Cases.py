"""One case of a batch in the scene: the scan and its results, loaded once."""

from __future__ import annotations

from pathlib import Path

import slicer

from . import Ownership, ResultNodes
from .ResultNodes import InputTraits, Nodes, ResultFiles

_SOURCE_ATTRIBUTE = "SegSRGAN.Source"


def load(source: Path, record: Path):
    """Load scan and results of a case, or find them in the scene; returns the scan.

    Results that are in the scene, perhaps edited, are not replaced.

    Raises:
        OSError, RuntimeError, ValueError: a file that cannot be read.
    """
    scan = next((node for node in Ownership.scans() if node.GetAttribute(_SOURCE_ATTRIBUTE) == str(source)), None)
    if scan is None:
        scan = slicer.util.loadVolume(str(_file(source)), {"name": _stem(source), "show": False})
        scan.SetAttribute(_SOURCE_ATTRIBUTE, str(source))
    if Ownership.chosen(scan, "outputVolume") is None:
        nodes = ResultNodes.load(ResultFiles.ofRecord(record), InputTraits.of(scan), Nodes(), False)
        Ownership.choose(scan, "outputVolume", nodes.volume)
        Ownership.choose(scan, "outputSegmentation", nodes.segmentation)
    return scan


def _file(source: Path) -> Path:
    """A DICOM series is loaded by one of its files."""
    return next(path for path in sorted(source.iterdir()) if path.is_file()) if source.is_dir() else source


def _stem(source: Path) -> str:
    return source.name if source.is_dir() else source.name.split(".")[0]
