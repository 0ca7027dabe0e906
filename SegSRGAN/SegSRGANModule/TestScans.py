"""Scans for the self-test: made of formulas, so that nothing has to be downloaded."""

from __future__ import annotations

import slicer

from .Jobs import SampleData
from .Scene import Ownership
from .Scene.VolumeNodes import imageFromVolume, setVolumeFromImage

SHAPE = (8, 36, 40)  # z, y, x
_THICKNESS = 4.0  # mm
_AROUND = 12  # voxels of air added around the phantom, for skull and scalp
_SKULL, _SCALP = 2.5, 7.5  # mm outside of the brain where each ends
_SKULL_VALUE, _SCALP_VALUE = 200.0, 1500.0


def volume(name: str, array):
    """A volume node of thick axial slices."""
    import numpy as np

    grid = np.diag([1.0, 1.0, _THICKNESS, 1.0])
    node = slicer.util.addVolumeFromArray(np.asarray(array, np.float32), grid, name)
    node.CreateDefaultDisplayNodes()
    return node


def patient(name: str, scan, *, isBrain: bool):
    """The scan in a study of its own."""
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    subject = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), name)
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(scan), hierarchy.CreateStudyItem(subject, "MRI"))
    Ownership.setBrain(scan, isBrain)
    return scan


def ball(brightness: float):
    """A bright ball, off centre: (z, y, x)."""
    import numpy as np

    z, y, x = np.indices(SHAPE).astype(np.float32)
    distance = np.sqrt(((z - 4) * _THICKNESS) ** 2 + (y - 15) ** 2 + (x - 22) ** 2)
    return brightness * np.exp(-((distance / 10) ** 2))


def head(brightness: float):
    """The ball inside a bright shell, as a brain in its skull: (z, y, x)."""
    import numpy as np

    inside = ball(brightness)
    shell = (inside > 0.08 * brightness) & (inside < 0.12 * brightness)
    return np.where(shell, 0.9 * brightness, inside)


def rawHead():
    """The phantom in a skull and a scalp, with thick slices: large and true enough for the brain extractor."""
    import numpy as np
    import SimpleITK as sitk

    node, labelsNode = SampleData.loadPhantom()
    margin = [_AROUND, _AROUND, 3]
    scan = sitk.ConstantPad(imageFromVolume(node), margin, margin, 0.0)
    inside = sitk.Resample(
        imageFromVolume(labelsNode) > 0, scan, sitk.Transform(), sitk.sitkNearestNeighbor, 0, sitk.sitkUInt8
    )
    distance = sitk.GetArrayFromImage(
        sitk.SignedMaurerDistanceMap(inside, insideIsPositive=False, squaredDistance=False, useImageSpacing=True)
    )
    values = sitk.GetArrayFromImage(scan)
    values = np.where((distance > 0) & (distance <= _SKULL), np.minimum(values, _SKULL_VALUE), values)
    values = np.where((distance > _SKULL) & (distance <= _SCALP), _SCALP_VALUE, values)
    made = sitk.GetImageFromArray(values.astype(np.float32))
    made.CopyInformation(scan)
    setVolumeFromImage(node, made)
    node.SetName("Raw_head_T2w")
    slicer.mrmlScene.RemoveNode(labelsNode)
    return node
