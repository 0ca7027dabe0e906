"""Volumes on their way to the library and back: every voxel keeps its place in space."""

import numpy as np
import pytest
import SimpleITK as sitk
from harness.fixtures import cleanScene, logic, models, slicer, standIn  # noqa: F401

import phantoms  # isort: skip
import vtk  # isort: skip
from SegSRGANModule.Scene import VolumeNodes  # isort: skip

ANGLES = [(0.0, 0.0, 0.0), phantoms.OBLIQUE]


def _rasOf(node, ijk):
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return np.array(matrix.MultiplyPoint((*ijk, 1.0))[:3])


@pytest.mark.parametrize("angles", ANGLES)
def test_image_of_a_node_has_its_voxels_and_its_place(angles):
    image, node = phantoms.image(angles), phantoms.node(angles=angles)
    pulled = VolumeNodes.imageFromVolume(node)
    assert np.array_equal(sitk.GetArrayFromImage(pulled), sitk.GetArrayFromImage(image))
    for index in [(0, 0, 0), (35, 0, 0), (0, 43, 9), (7, 11, 3)]:
        expected = image.TransformIndexToPhysicalPoint(index)
        assert np.allclose(pulled.TransformIndexToPhysicalPoint(index), expected, atol=1e-9)
    assert np.allclose(pulled.GetSpacing(), phantoms.SPACING)


@pytest.mark.parametrize("angles", ANGLES)
def test_node_of_an_image_lies_at_ras(angles):
    image = phantoms.image(angles)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    VolumeNodes.setVolumeFromImage(node, image)
    for index in [(0, 0, 0), (35, 0, 0), (0, 43, 9)]:
        x, y, z = image.TransformIndexToPhysicalPoint(index)
        assert np.allclose(_rasOf(node, index), (-x, -y, z), atol=1e-9)
    assert np.array_equal(slicer.util.arrayFromVolume(node), sitk.GetArrayFromImage(image))


def test_written_volume_is_exact_and_float(tmp_path):
    node = phantoms.node()
    slicer.util.arrayFromVolume(node)[3, 4, 5] = 0.123
    VolumeNodes.writeVolume(node, tmp_path / "v.nrrd")
    written = sitk.ReadImage(str(tmp_path / "v.nrrd"))
    assert written.GetPixelID() == sitk.sitkFloat32
    assert np.array_equal(sitk.GetArrayFromImage(written), slicer.util.arrayFromVolume(node))
    assert np.allclose(written.GetDirection(), phantoms.image().GetDirection(), atol=1e-12)
    assert np.allclose(written.GetOrigin(), phantoms.ORIGIN, atol=1e-12)


def test_left_handed_volume_keeps_its_handedness():
    node = phantoms.node(angles=(0, 0, 0))
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    matrix.SetElement(2, 2, -matrix.GetElement(2, 2))
    node.SetIJKToRASMatrix(matrix)
    image = VolumeNodes.imageFromVolume(node)
    assert np.linalg.det(np.reshape(image.GetDirection(), (3, 3))) == pytest.approx(-1)
    x, y, z = image.TransformIndexToPhysicalPoint((3, 4, 5))
    assert np.allclose(_rasOf(node, (3, 4, 5)), (-x, -y, z))


def test_sheared_volume_is_refused():
    node = phantoms.node()
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    matrix.SetElement(0, 1, matrix.GetElement(0, 1) + 0.3)
    node.SetIJKToRASMatrix(matrix)
    with pytest.raises(ValueError, match="right angles"):
        VolumeNodes.imageFromVolume(node)


def _segmentation(volume, mask):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mask")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segment = node.GetSegmentation().AddEmptySegment("brain", "Brain")
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, segment, volume)
    return node


def test_segmentation_mask_is_written_on_the_volume_grid(tmp_path):
    volume = phantoms.node()
    mask = (phantoms.ellipsoids() > 0).astype(np.uint8)
    count = slicer.mrmlScene.GetNumberOfNodes()
    segmentation = _segmentation(volume, mask)
    added = slicer.mrmlScene.GetNumberOfNodes() - count
    VolumeNodes.writeMask(segmentation, volume, tmp_path / "m.nrrd")
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "m.nrrd"))), mask)
    assert slicer.mrmlScene.GetNumberOfNodes() == count + added  # nothing temporary stays


def test_mask_follows_when_volume_and_mask_are_under_one_transform(tmp_path):
    volume, transform = phantoms.node(), phantoms.transform()
    mask = (phantoms.ellipsoids() > 0).astype(np.uint8)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    segmentation = _segmentation(volume, mask)
    segmentation.SetAndObserveTransformNodeID(transform.GetID())
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, "brain", volume)
    VolumeNodes.writeMask(segmentation, volume, tmp_path / "m.nrrd")
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "m.nrrd")))
    assert np.mean(written == mask) > 0.999


def test_label_map_under_another_transform_and_empty_mask_are_refused(tmp_path):
    volume = phantoms.node()
    labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
    VolumeNodes.setVolumeFromImage(labels, sitk.Cast(phantoms.image() > 0, sitk.sitkUInt8))
    VolumeNodes.writeMask(labels, volume, tmp_path / "m.nrrd")
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "m.nrrd"))).max() == 1
    slicer.util.arrayFromVolume(labels)[:] = 0
    with pytest.raises(ValueError, match="empty"):
        VolumeNodes.writeMask(labels, volume, tmp_path / "m.nrrd")
    labels.SetAndObserveTransformNodeID(phantoms.transform().GetID())
    with pytest.raises(ValueError, match="different transforms"):
        VolumeNodes.writeMask(labels, volume, tmp_path / "m.nrrd")


def test_labels_for_training_keep_their_values(tmp_path):
    volume = phantoms.node()
    labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
    values = (phantoms.ellipsoids() / 50).astype(np.uint8)
    image = sitk.GetImageFromArray(values)
    image.CopyInformation(phantoms.image())
    VolumeNodes.setVolumeFromImage(labels, image)
    VolumeNodes.writeLabels(labels, volume, tmp_path / "l.nrrd")
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "l.nrrd"))), values)
    VolumeNodes.writeLabels(_segmentation(volume, (values == 4).astype(np.uint8)), volume, tmp_path / "s.nrrd", value=5)
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "s.nrrd")))
    assert np.array_equal(written, np.where(values == 4, 5, 0))
