"""The page of a result in the scene: a hidden text node, so it is there after the session of the run."""

from __future__ import annotations

import slicer

_ROLE = "SegSRGAN.report"  # result -> its page


def store(result, page: str) -> None:
    """Keep a page (HTML) with its result, in place of an earlier one."""
    node = result.GetNodeReference(_ROLE)
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", f"{result.GetName()} report")
        node.SetHideFromEditors(True)
        node.SetForceCreateStorageNode(slicer.vtkMRMLTextNode.CreateStorageNodeAlways)  # a file beside the scene
        result.SetNodeReferenceID(_ROLE, node.GetID())
    node.SetText(page)


def remove(result) -> None:
    if node := result.GetNodeReference(_ROLE):
        slicer.mrmlScene.RemoveNode(node)


def pageOf(result) -> str | None:
    """The page of a result, or None."""
    node = result.GetNodeReference(_ROLE) if result else None
    return node.GetText() if node else None
