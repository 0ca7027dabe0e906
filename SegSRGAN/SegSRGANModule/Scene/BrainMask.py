"""The brain mask of a scan as an editable segmentation: found by a run, or begun by hand."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from . import Ownership, Terminology

SEGMENT_ID = "brain"
_COLOR = (0.35, 0.75, 0.90)


def fromImage(image, scanName: str, scan=None):
    """A new segmentation of the voxels that are not 0, on the grid of the image."""
    import SimpleITK as sitk

    from .VolumeNodes import setVolumeFromImage

    scene = slicer.mrmlScene
    grid = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "SegSRGAN temporary")
    try:
        setVolumeFromImage(grid, image)
        node = _new(scanName, grid)
        if scan:
            node.SetAndObserveTransformNodeID(scan.GetTransformNodeID())
            grid.SetAndObserveTransformNodeID(scan.GetTransformNodeID())
        inside = (sitk.GetArrayFromImage(image) != 0).astype("uint8")
        slicer.util.updateSegmentBinaryLabelmapFromArray(inside, node, SEGMENT_ID, grid)
        if scan:
            node.SetReferenceImageGeometryParameterFromVolumeNode(scan)
    finally:
        scene.RemoveNode(grid)
    Ownership.setOwner(node, scan)
    return node


def empty(scan):
    """A mask to draw in."""
    node = _new(scan.GetName(), scan)
    node.SetAndObserveTransformNodeID(scan.GetTransformNodeID())
    Ownership.setOwner(node, scan)
    return node


def openInEditor(segmentation, volume) -> None:
    """Show a segmentation in the Segment Editor, with the volume to draw on, and go there."""
    editor = slicer.mrmlScene.GetSingletonNode("SegmentEditor", "vtkMRMLSegmentEditorNode")
    if editor is None:
        editor = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
        editor.UnRegister(None)
        editor.SetSingletonTag("SegmentEditor")
        editor = slicer.mrmlScene.AddNode(editor)
    editor.SetAndObserveSegmentationNode(segmentation)
    editor.SetAndObserveSourceVolumeNode(volume)
    ids = segmentation.GetSegmentation().GetSegmentIDs()
    if ids:
        editor.SetSelectedSegmentID(ids[0])
    if slicer.util.mainWindow() is not None:
        slicer.util.selectModule("SegmentEditor")


def _new(scanName: str, reference):
    name = slicer.mrmlScene.GenerateUniqueName(_("{scan} brain mask").format(scan=scanName))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
    segmentation = node.GetSegmentation()
    segmentation.AddEmptySegment(SEGMENT_ID, _("Brain"), _COLOR)
    segmentation.GetSegment(SEGMENT_ID).SetTerminology(Terminology.entry("12738006", "Brain"))
    display = node.GetDisplayNode()
    display.SetOpacity2DFill(0.0)  # an outline: the anatomy below is to be seen
    display.SetVisibility3D(False)
    return node
