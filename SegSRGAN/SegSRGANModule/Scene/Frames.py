"""A scan that shows one frame of a sequence (4D), and a volume of its own for each frame.

The node of such a scan shows another frame when the reader moves the sequence browser, so a result that belongs to it
can stop fitting; a copy of each frame keeps its result.
"""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from . import Ownership

_FRAME_ATTRIBUTE = "SegSRGAN.Frame"  # of a copy: its number
_SEQUENCE_ROLE = "SegSRGAN.sequence"  # copy -> its sequence; not its id, which changes when scenes are merged


def sequenceOf(volumeNode):
    """(browser, sequence) of a volume that shows a frame of a sequence of several; (None, None) for other volumes."""
    for browser in slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode"):
        if browser.IsProxyNodeID(volumeNode.GetID()) and browser.GetNumberOfItems() > 1:
            return browser, browser.GetSequenceNode(volumeNode)
    return None, None


def copies(volumeNode) -> list:
    """A volume node for each frame, "NAME frame 1" and so on; those of an earlier call are given again."""
    browser, sequence = sequenceOf(volumeNode)
    count = sequence.GetNumberOfDataNodes() if browser else 0
    found = [_copy(volumeNode, sequence, index) for index in range(count)]
    for node in found:
        Ownership.setBrain(node, Ownership.isBrain(volumeNode))
    return found


def _copy(volumeNode, sequence, index: int):
    import vtk

    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        if node.GetNodeReference(_SEQUENCE_ROLE) is sequence and node.GetAttribute(_FRAME_ATTRIBUTE) == str(index):
            return node
    frame, image = sequence.GetNthDataNode(index), vtk.vtkImageData()
    image.DeepCopy(frame.GetImageData())
    name = _("{name} frame {number}").format(name=volumeNode.GetName(), number=index + 1)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", slicer.mrmlScene.GenerateUniqueName(name))
    node.SetAndObserveImageData(image)
    node.CopyOrientation(frame)
    node.SetNodeReferenceID(_SEQUENCE_ROLE, sequence.GetID())
    node.SetAttribute(_FRAME_ATTRIBUTE, str(index))
    node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    node.CreateDefaultDisplayNodes()
    _placeBeside(node, volumeNode)
    return node


def _placeBeside(node, volumeNode) -> None:
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    items = [hierarchy.GetItemByDataNode(one) if hierarchy else 0 for one in (node, volumeNode)]
    if all(items):
        hierarchy.SetItemParent(items[0], hierarchy.GetItemParent(items[1]))
