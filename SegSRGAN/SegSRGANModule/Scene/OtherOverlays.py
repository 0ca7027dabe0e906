"""Segmentations and masks of other scans that are drawn where a scan lies.

Slicer draws a segmentation in every slice view, whatever volume the view shows: the outlines of one patient lie over
the scan of the next. The display is the reader's, so they are named, and hidden by a button only.
"""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from . import Ownership


def over(scan) -> list:
    """Visible segmentations that runs made from other scans, and that reach into the box of `scan`."""
    if scan is None:
        return []
    others = (
        node
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        if Ownership.isResult(node) and Ownership.ownerOf(node) is not scan and _isDrawn(node)
    )
    box = _boxOf(scan)
    return [node for node in others if _meet(box, _boxOf(node))]


def describe(scan, others: list) -> str:
    """One sentence, "" for none."""
    if not others:
        return ""
    text = _("The slice views draw {names} over {scan}, too.")
    return text.format(names=", ".join(node.GetName() for node in others), scan=scan.GetName())


def hide(others: list) -> None:
    for node in others:
        node.GetDisplayNode().SetVisibility(False)


def _isDrawn(node) -> bool:
    display = node.GetDisplayNode()
    return bool(display and display.GetVisibility() and node.GetSegmentation().GetNumberOfSegments())


def _boxOf(node) -> list[float]:
    box = [0.0] * 6
    node.GetRASBounds(box)
    return box


def _meet(first: list[float], second: list[float]) -> bool:
    return all(first[k] < second[k + 1] and second[k] < first[k + 1] for k in (0, 2, 4))
