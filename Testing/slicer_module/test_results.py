"""Outputs of a run are nodes as a Slicer user expects them."""

import json

import numpy as np
import pytest
from harness.fixtures import applied, cleanScene, logic, models, panel, slicer, standIn  # noqa: F401

import phantoms  # isort: skip
import vtk  # isort: skip
from SegSRGANLib.data.classes import TISSUES  # isort: skip
from SegSRGANModule.Scene import Ownership, ResultNodes, SegmentVolumes, Terminology  # isort: skip
from SegSRGANModule.Scene.InputTraits import InputTraits  # isort: skip
from SegSRGANModule.Settings import EnhanceSettings  # isort: skip

SPACING = 0.8  # mm; an exact divisor of the phantom's field of view along z
SETTINGS = EnhanceSettings(spacing=SPACING, threshold=0.75)


@pytest.fixture
def results(logic, standIn):  # noqa: F811
    source = phantoms.node()
    return source, logic.enhance(source, SETTINGS)


def _centroid(node, inside) -> np.ndarray:
    """RAS centre of gravity of the voxels that are true in `inside` (z, y, x)."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    center = np.argwhere(inside).mean(axis=0)[::-1]
    return np.array(matrix.MultiplyPoint((*center, 1.0))[:3])


def _corner(node, corner) -> np.ndarray:
    """RAS of an outer corner of the field of view."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    size = node.GetImageData().GetDimensions()
    return np.array(
        matrix.MultiplyPoint((*(-0.5 if c == 0 else n - 0.5 for c, n in zip(corner, size, strict=True)), 1))[:3]
    )


def _dataNodes() -> list[str]:
    """Names of all nodes but display nodes, of which Slicer's own label map helper leaves one behind."""
    nodes = slicer.util.getNodesByClass("vtkMRMLNode")
    return sorted(node.GetID() for node in nodes if not node.IsA("vtkMRMLDisplayNode"))


def test_classes_names_and_grid(results):
    source, (volume, segmentation, probability) = results
    assert [node.GetClassName() for node in results[1]] == [
        "vtkMRMLScalarVolumeNode",
        "vtkMRMLSegmentationNode",
        "vtkMRMLScalarVolumeNode",
    ]
    assert [node.GetName() for node in results[1]] == ["T2w enhanced", "T2w cortex", "T2w cortex probability"]
    assert np.allclose(volume.GetSpacing(), SPACING)
    assert volume.GetImageData().GetDimensions() == probability.GetImageData().GetDimensions() == (36, 38, 30)
    for corner in [(0, 0, 0), (1, 0, 0), (0, 0, 1)]:
        assert np.allclose(_corner(volume, corner), _corner(source, corner), atol=1e-3)
    assert np.linalg.norm(_corner(volume, (1, 1, 1)) - _corner(source, (1, 1, 1))) < SPACING


def test_anatomy_stays_where_it_was(results):
    source, (volume, segmentation, _probability) = results
    bead = np.zeros(phantoms.SHAPE, bool)
    bead[1:3, 36:41, 4:9] = True
    expected = _centroid(source, bead)
    corner = slicer.util.arrayFromVolume(volume) > 150
    corner[:, :29] = False  # the bead is the only bright thing at large y
    assert np.linalg.norm(_centroid(volume, corner) - expected) < 0.4
    drawn = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, Terminology.SEGMENT_ID, source) > 0
    truth = phantoms.ellipsoids() == phantoms.CORTEX_VALUE
    assert 2 * (drawn & truth).sum() / (drawn.sum() + truth.sum()) > 0.97
    for mirrored in (truth[::-1], truth[:, ::-1], truth[:, :, ::-1]):  # the check tells mirror images apart
        assert 2 * (drawn & mirrored).sum() / (drawn.sum() + mirrored.sum()) < 0.8


def test_segmentation_knows_its_reference_geometry(results):
    _source, (volume, segmentation, _probability) = results
    assert segmentation.GetNodeReferenceID("referenceImageGeometryRef") == volume.GetID()
    parameter = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    text = segmentation.GetSegmentation().GetConversionParameter(parameter)
    assert text, "no reference geometry"
    image = slicer.vtkOrientedImageData()
    slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, image, False)
    assert np.allclose(image.GetSpacing(), SPACING)
    assert image.GetDimensions() == volume.GetImageData().GetDimensions()


def test_segment_has_name_colour_terminology_and_surface(results):
    _source, (_volume, segmentation, _probability) = results
    assert list(segmentation.GetSegmentation().GetSegmentIDs()) == [Terminology.SEGMENT_ID]
    segment = segmentation.GetSegmentation().GetSegment(Terminology.SEGMENT_ID)
    assert segment.GetName() == "Cerebral cortex"
    assert np.allclose(segment.GetColor(), np.array(TISSUES["cortex"].colour) / 255)
    assert not segmentation.GetDisplayNode().GetVisibility3D()
    segmentation.CreateClosedSurfaceRepresentation()
    surface = slicer.vtkMRMLSegmentationNode.GetClosedSurfaceInternalRepresentation
    assert surface(segmentation, Terminology.SEGMENT_ID).GetNumberOfCells() > 100
    entry = slicer.vtkSlicerTerminologyEntry()
    assert slicer.modules.terminologies.logic().DeserializeTerminologyEntry(segment.GetTerminology(), entry)
    assert entry.GetCategoryObject().GetCodeValue() == "123037004"
    code = entry.GetTypeObject()
    assert (code.GetCodingSchemeDesignator(), code.GetCodeValue()) == ("SCT", "40146001")
    assert code.GetCodeValue() in _typesIn(entry.GetTerminologyContextName(), "123037004")


def _typesIn(context: str, categoryCode: str) -> list[str]:
    """Codes of a category of a loaded list: reading the entry alone would accept any text."""
    terminologies, found = slicer.modules.terminologies.logic(), []
    for number in range(terminologies.GetNumberOfCategoriesInTerminology(context)):
        category = slicer.vtkSlicerTerminologyCategory()
        terminologies.GetNthCategoryInTerminology(context, number, category)
        if category.GetCodeValue() == categoryCode:
            for index in range(terminologies.GetNumberOfTypesInTerminologyCategory(context, category)):
                kind = slicer.vtkSlicerTerminologyType()
                terminologies.GetNthTypeInTerminologyCategory(context, category, index, kind)
                found.append(kind.GetCodeValue())
    return found


def test_shown_as_the_input_with_transform_and_hierarchy(logic, standIn):  # noqa: F811
    source, transform = phantoms.node(), phantoms.transform()
    source.SetAndObserveTransformNodeID(transform.GetID())
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    study = hierarchy.CreateStudyItem(hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Baby"), "Day 3")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(source), study)
    nodes = logic.enhance(source, SETTINGS)
    display = nodes.volume.GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel(), display.GetAutoWindowLevel()) == (230.0, 110.0, 0)
    for node in nodes:
        assert node.GetTransformNodeID() == transform.GetID()
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == study
    truth = phantoms.ellipsoids() == phantoms.CORTEX_VALUE
    drawn = slicer.util.arrayFromSegmentBinaryLabelmap(nodes.segmentation, Terminology.SEGMENT_ID, source) > 0
    assert 2 * (drawn & truth).sum() / (drawn.sum() + truth.sum()) > 0.97


def test_record_goes_along(results):
    source, nodes = results
    for node in nodes:
        assert ResultNodes.recordOf(node)["model"]["name"] == "stand-in"
        assert node.GetNodeReference(Ownership.INPUT_ROLE) is source


def test_rerun_fills_the_same_nodes(logic, standIn):  # noqa: F811
    source = phantoms.node()
    first = logic.enhance(source, SETTINGS)
    first.segmentation.GetSegmentation().GetSegment(Terminology.SEGMENT_ID).SetColor(0.1, 0.2, 0.9)
    count = _dataNodes()
    second = logic.enhance(source, EnhanceSettings(spacing=1.2, threshold=0.75), outputs=first)
    assert second == first
    assert _dataNodes() == count
    assert np.allclose(second.volume.GetSpacing(), 1.2)
    segment = second.segmentation.GetSegmentation().GetSegment(Terminology.SEGMENT_ID)
    assert np.allclose(segment.GetColor(), (0.1, 0.2, 0.9))  # the user's choice stays
    drawn = slicer.util.arrayFromSegmentBinaryLabelmap(second.segmentation, Terminology.SEGMENT_ID, second.volume)
    assert drawn.shape == (20, 26, 24)


def test_probability_only_when_wanted(logic, standIn):  # noqa: F811
    nodes = logic.enhance(phantoms.node(), SETTINGS, outputs=ResultNodes.Nodes())
    assert nodes.probability is None and nodes.segmentation is not None


def test_volume_in_millilitres(results):
    _source, nodes = results
    voxels = slicer.util.arrayFromSegmentBinaryLabelmap(nodes.segmentation, Terminology.SEGMENT_ID, nodes.volume).sum()
    ((name, milliliters),) = SegmentVolumes.volumesOf(nodes.segmentation)
    assert name == "Cerebral cortex"
    assert milliliters == pytest.approx(voxels * SPACING**3 / 1000, rel=1e-5)
    truth = (phantoms.ellipsoids() == phantoms.CORTEX_VALUE).sum() * np.prod(phantoms.SPACING) / 1000
    assert milliliters == pytest.approx(truth, rel=0.05)


def test_results_survive_saving_the_scene(results, tmp_path):
    _source, nodes = results
    record = ResultNodes.recordOf(nodes.volume)
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(path)
    volume, segmentation = slicer.util.getNode("T2w enhanced"), slicer.util.getNode("T2w cortex")
    assert json.dumps(ResultNodes.recordOf(volume)) == json.dumps(record)
    assert segmentation.GetSegmentation().GetSegment(Terminology.SEGMENT_ID).GetName() == "Cerebral cortex"
    assert segmentation.GetNodeReferenceID("referenceImageGeometryRef") == volume.GetID()
    assert volume.GetNodeReference(Ownership.INPUT_ROLE) is slicer.util.getNode("T2w")


def test_undo_is_not_offered(logic, standIn):  # noqa: F811
    """Slicer undoes nothing unless each class of nodes allows it; what is replaced is asked about instead."""
    scene = slicer.mrmlScene
    scene.SetUndoOn()
    try:
        levels = scene.GetNumberOfUndoLevels()
        logic.enhance(phantoms.node(), SETTINGS)
        assert scene.GetNumberOfUndoLevels() == levels
    finally:
        scene.SetUndoOff()
        scene.ClearUndoStack()


CLASSES = ["cortex", "white matter", "fluid"]


def _severalClasses(folder, source, classes):
    """Files as `segsrgan predict` leaves them, of a model with these classes; label k fills every k-th brightness."""
    import SimpleITK as sitk

    image = phantoms.image()
    values = phantoms.ellipsoids()
    labels = np.select([values == phantoms.CORTEX_VALUE, values == phantoms.INNER_VALUE], [1, 2], 3).astype(np.uint8)
    labels[labels > len(classes)] = 0
    single = classes == ["cortex"]
    written = {"sr": values, "cortex" if single else "segmentation": labels}
    written |= {f"{name.replace(' ', '-')}-probability": (labels == k) for k, name in enumerate(classes, start=1)}
    for ending, array in written.items():
        volume = sitk.GetImageFromArray(array.astype(np.uint8 if array is labels else np.float32))
        volume.CopyInformation(image)
        sitk.WriteImage(volume, str(folder / f"T2w_{ending}.nii.gz"))
    (folder / "T2w_record.json").write_text(json.dumps({"classes": classes}))
    return ResultNodes.ResultFiles(folder, "T2w"), InputTraits.of(source)


def test_every_class_is_a_segment_with_its_name(tmp_path):
    source = phantoms.node()
    nodes = ResultNodes.load(*_severalClasses(tmp_path, source, CLASSES), ResultNodes.Nodes(), True)
    assert [node.GetName() for node in nodes] == ["T2w enhanced", "T2w segmentation", "T2w cortex probability"]
    segmentation, values = nodes.segmentation.GetSegmentation(), phantoms.ellipsoids()
    names = [segmentation.GetSegment(i).GetName() for i in segmentation.GetSegmentIDs()]
    assert names == ["Cerebral cortex", "White matter", "fluid"]
    colours = {segmentation.GetSegment(i).GetColor() for i in segmentation.GetSegmentIDs()}
    assert len(colours) == 3
    assert "40146001" in segmentation.GetSegment("cortex").GetTerminology()
    assert "40146001" not in (segmentation.GetSegment("fluid").GetTerminology() or "")
    for name, value in zip(CLASSES, (phantoms.CORTEX_VALUE, phantoms.INNER_VALUE, 0.0), strict=True):
        drawn = slicer.util.arrayFromSegmentBinaryLabelmap(nodes.segmentation, name, nodes.volume) > 0
        np.testing.assert_array_equal(drawn, values == value)
    probability = slicer.util.arrayFromVolume(nodes.probability)
    np.testing.assert_array_equal(probability > 0.5, values == phantoms.CORTEX_VALUE)
    assert [name for name, _volume in SegmentVolumes.volumesOf(nodes.segmentation)] == names


def test_names_colours_and_codes_are_the_librarys(tmp_path):
    """Of every tissue that the default model knows; what Slicer shows is what pictures, tables and DICOM files say."""
    classes = ["cortex", "white matter", "ventricles", "outer CSF", "deep grey matter", "cerebellum", "brainstem"]
    source = phantoms.node()
    nodes = ResultNodes.load(*_severalClasses(tmp_path, source, classes), ResultNodes.Nodes(), False)
    segmentation = nodes.segmentation.GetSegmentation()
    for name in classes:
        segment, tissue = segmentation.GetSegment(name), TISSUES[name]
        assert segment.GetName() == tissue.title
        assert np.allclose(segment.GetColor(), np.array(tissue.colour) / 255, atol=1e-6)
        assert (f"SCT^{tissue.code}^" in segment.GetTerminology()) == bool(tissue.code)


def test_only_the_cortex_is_shown_in_3d(tmp_path):
    """The fluid around it would hide it. A reader's own choice stays."""
    source = phantoms.node()
    nodes = ResultNodes.load(*_severalClasses(tmp_path, source, CLASSES), ResultNodes.Nodes(), False)
    display = nodes.segmentation.GetDisplayNode()
    assert [display.GetSegmentVisibility3D(name) for name in CLASSES] == [True, False, False]
    assert all(display.GetSegmentVisibility2DOutline(name) for name in CLASSES)
    display.SetSegmentVisibility3D("fluid", True)
    ResultNodes.load(*_severalClasses(tmp_path, source, CLASSES), nodes, False)
    assert display.GetSegmentVisibility3D("fluid")


def test_another_model_leaves_no_segments_of_the_one_before(tmp_path):
    source = phantoms.node()
    first = ResultNodes.load(*_severalClasses(tmp_path, source, CLASSES), ResultNodes.Nodes(), False)
    first.segmentation.GetSegmentation().AddEmptySegment("mine", "Mine")
    second = ResultNodes.load(*_severalClasses(tmp_path, source, ["cortex"]), first, False)
    assert second.segmentation is first.segmentation
    assert list(second.segmentation.GetSegmentation().GetSegmentIDs()) == ["cortex", "mine"]
    own = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn by hand")
    own.GetSegmentation().AddEmptySegment("cortex", "My cortex")
    files = _severalClasses(tmp_path, source, ["white matter", "fluid"])
    third = ResultNodes.load(*files, ResultNodes.Nodes(None, own, None), False)
    assert list(third.segmentation.GetSegmentation().GetSegmentIDs()) == ["cortex", "white matter", "fluid"]
