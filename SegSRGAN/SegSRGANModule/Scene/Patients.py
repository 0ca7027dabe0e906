"""Whether what is used together is of one child: masks and further stacks of another one are named before a run."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from . import Ownership


def warnings(scan, mask, moreStacks) -> list[str]:
    """A sentence for each node that seems to be of another patient or scan than `scan`.

    The scan of a mask is the one that it was found in or drawn on. Patients are those of the subject hierarchy; where
    it names none, nothing is said.
    """
    found = [_aboutPatient(node, scan) for node in (mask, *moreStacks) if node]
    if mask and not _aboutPatient(mask, scan):
        found.append(_aboutScan(mask, scan))
    if (owner := Ownership.ownerOf(scan)) is not None:
        text = _("{name} is a result of {owner}, not a scan; choose the scan itself.")
        found.append(text.format(name=scan.GetName(), owner=owner.GetName()))
    return [text for text in found if text]


def patientOf(node) -> str:
    """The patient that a node lies under in the subject hierarchy; "" for none."""
    item = _patientItem(node)
    return slicer.mrmlScene.GetSubjectHierarchyNode().GetItemName(item) if item else ""


def scanOf(mask):
    """The scan that a mask was found in or drawn on; None where that is not known."""
    if owner := Ownership.ownerOf(mask):
        return owner
    if not mask.IsA("vtkMRMLSegmentationNode"):
        return None
    drawnOn = mask.GetNodeReference(mask.GetReferenceImageGeometryReferenceRole())
    return Ownership.ownerOf(drawnOn) or drawnOn


def _aboutPatient(node, scan) -> str:
    first, second = _patientItem(node), _patientItem(scan)
    if not first or not second or first == second:
        return ""
    text = _("{node} belongs to the patient {other}, {scan} to {patient}: make sure that they are of one child.")
    names = {"node": node.GetName(), "other": patientOf(node), "scan": scan.GetName(), "patient": patientOf(scan)}
    return text.format(**names)


def _aboutScan(mask, scan) -> str:
    other = scanOf(mask)
    if other is None or other is scan:
        return ""
    text = _("The mask {mask} was made for {other}, not for {scan}: look whether it fits.")
    return text.format(mask=mask.GetName(), other=other.GetName(), scan=scan.GetName())


def _patientItem(node) -> int:
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    item = hierarchy.GetItemByDataNode(node) if hierarchy else 0
    if not item:
        return 0
    level = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMLevelPatient()
    return hierarchy.GetItemAncestorAtLevel(item, level)
