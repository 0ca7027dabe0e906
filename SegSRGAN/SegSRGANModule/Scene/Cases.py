"""One case of a batch in the scene: the scan and its results, loaded once."""

from __future__ import annotations

from pathlib import Path

import slicer

from . import DicomDatabase, Ownership, ResultNodes
from .InputTraits import InputTraits
from .ResultNodes import Nodes, ResultFiles


def load(source: Path, record: Path):
    """Load scan and results of a case, or find them in the scene; returns the scan.

    Results that are in the scene, perhaps edited, are not replaced.

    Raises:
        OSError, RuntimeError, ValueError: a file that cannot be read.
    """
    scan = next(
        (node for node in Ownership.scans() if node.GetAttribute(Ownership.SOURCE_ATTRIBUTE) == str(source)), None
    )
    if scan is None:
        scan = slicer.util.loadVolume(
            str(DicomDatabase.firstFile(source)), {"name": _name(source, record), "show": False}
        )
        scan.SetAttribute(Ownership.SOURCE_ATTRIBUTE, str(source))
    if Ownership.chosen(scan, "outputVolume") is None:
        nodes = ResultNodes.load(ResultFiles.ofRecord(record), InputTraits.of(scan), Nodes(), False)
        Ownership.choose(scan, "outputVolume", nodes.volume)
        Ownership.choose(scan, "outputSegmentation", nodes.segmentation)
    return scan


def isOutdated(scan, record: Path) -> bool:
    """Whether the result in the scene is of another run than the one on the disk."""
    inScene = ResultNodes.recordOf(Ownership.chosen(scan, "outputVolume"))
    return inScene is not None and inScene != ResultFiles.ofRecord(record).record


def _name(source: Path, record: Path) -> str:
    """Of the scan: that of its file or folder; one file of a DICOM series says nothing, its result does."""
    if source.is_dir():
        return source.name
    return ResultFiles.ofRecord(record).name if DicomDatabase.isDicom(source) else source.name.split(".")[0]
