"""The harness is honest: stand-ins offer no more than Slicer does, and behave as Slicer was seen to."""

import ast
import inspect
import json

import pytest
from harness.fixtures import HARNESS, ROOT, cleanScene, slicer  # noqa: F401

import ctk  # isort: skip
import qmrml  # isort: skip
import qt  # isort: skip
import signatures  # isort: skip
import vtk  # isort: skip
import wrapper_facts  # isort: skip

DEFAULTS = json.loads((HARNESS / "recorded_defaults.json").read_text())
RECORDED = json.loads((HARNESS / "recorded_names.json").read_text())
# What the stand-in does otherwise than the real wrapper, and why.
EXPLAINED = {
    "{": "a union with None is stored under the plain name; the module has none",
    "gui QSpinBox i": "a corrupt number in the scene raises here, when the widget is linked",
    "gui QLabel s": "labels cannot be linked; the module does not",
    "unknown attr": "an unknown parameter raises here, to catch misspelt names",
}


@pytest.mark.parametrize("standIn", [*ctk.STAND_INS, *qmrml.STAND_INS], ids=lambda cls: cls.__name__)
def test_stand_ins_offer_a_subset_of_the_recorded_names(standIn):
    recorded = RECORDED[standIn.__name__]
    meta = standIn.staticMetaObject
    offered = {meta.property(index).name() for index in range(meta.propertyOffset(), meta.propertyCount())}
    assert offered <= set(recorded["properties"])
    assert set(standIn.signalSignatures) <= set(recorded["signals"])


def test_recorded_signatures_are_those_of_the_installed_slicer():
    """What the wheel has is compared with it; the rest was read from Slicer's sources."""
    compared = []
    for name in signatures.RECORDED:
        *_path, function = name.split(".")
        if name.startswith("slicer.util.") and hasattr(slicer.util, function):
            real = inspect.signature(getattr(slicer.util, function)).replace(return_annotation=inspect.Signature.empty)
            plain = [p.replace(annotation=inspect.Parameter.empty) for p in real.parameters.values()]
            assert inspect.Signature(plain) in signatures.versions(name)
            compared.append(function)
    assert len(compared) >= 2


def _callsOfUtil() -> list[tuple[str, int, str, ast.Call]]:
    """(file, line, function, call) of every `slicer.util.function(...)` of the module."""
    found = []
    for path in sorted((ROOT / "SegSRGAN").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            function = node.func if isinstance(node, ast.Call) else None
            if isinstance(function, ast.Attribute) and ast.unparse(function.value) == "slicer.util":
                found.append((path.name, node.lineno, function.attr, node))
    return found


def test_the_module_calls_slicer_util_as_it_is():
    """Every function is there, and takes the arguments that the module gives it."""
    calls = _callsOfUtil()
    assert len({name for _file, _line, name, _call in calls}) > 15
    for file, line, name, call in calls:
        arguments = [None for _argument in call.args]
        named = {keyword.arg: None for keyword in call.keywords}
        recorded = f"slicer.util.{name}"
        versions = signatures.versions(recorded) if recorded in signatures.RECORDED else []
        real = getattr(slicer.util, name, None)
        for signature in [*versions, *([inspect.signature(real)] if real else [])]:
            try:
                signature.bind(*arguments, **named)
            except TypeError as error:
                raise AssertionError(f"{file}:{line}: slicer.util.{name}: {error}") from None
        assert versions or real, f"{file}:{line}: slicer.util has no {name}"


def test_a_stub_takes_no_argument_that_slicer_does_not_know():
    register = signatures.stub("SampleData.SampleDataLogic.registerCustomSampleDataSource", lambda **given: given)
    assert register(sampleName="A", uris="u")["category"] == "Custom"
    with pytest.raises(TypeError, match="sampleDescription"):
        register(sampleName="A", sampleDescription="thick slices")
    with pytest.raises(TypeError):
        register(sampleName="A", loadFileTypes="VolumeFile")  # not in every version


@pytest.mark.parametrize("standIn", [*ctk.STAND_INS, *qmrml.STAND_INS], ids=lambda cls: cls.__name__)
def test_defaults_of_stand_ins_are_those_of_the_sources(standIn):
    widget = standIn()
    for name, value in DEFAULTS.get(standIn.__name__, {}).items():
        assert getattr(widget, name) == value, name


def test_the_layout_manager_offers_a_subset_of_slicer_s():
    recorded, manager = RECORDED["qMRMLLayoutManager"], slicer.app.layoutManager()
    public = {name for name in vars(type(manager)) if not name.startswith("_")}
    harnessOnly = {"start", "signalSignatures", "staticMetaObject", "layoutChanged"}
    assert public - harnessOnly <= {*recorded["properties"], *recorded["methods"]}
    assert set(manager.signalSignatures) <= set(recorded["signals"])


def test_the_dicom_database_offers_a_subset_of_ctk_s():
    pytest.importorskip("pydicom", reason="needs the extra dicom")
    import dicom_database

    recorded = RECORDED["ctkDICOMDatabase"]
    public = {name for name in vars(dicom_database.DicomDatabase) if not name.startswith("_")}
    assert public <= {*recorded["properties"], *recorded["methods"]}


def test_layouts_create_map_and_unmap_views():
    manager = slicer.app.layoutManager()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    mapped = {n.GetLayoutName() for n in slicer.util.getNodesByClass("vtkMRMLSliceNode") if n.IsMappedInLayout()}
    assert mapped == {"Red"}
    manager.start()
    assert {"Red", "Yellow", "Green"} <= set(manager.sliceViewNames())
    assert manager.sliceWidget("Red").sliceLogic().GetSliceCompositeNode().GetLayoutName() == "Red"
    assert manager.sliceWidget("Purple") is None


def test_parameter_node_wrapper_behaves_as_recorded():
    recorded = (HARNESS / "wrapper_facts_recorded_from_slicer.txt").read_text().splitlines()
    got = wrapper_facts.facts()
    assert len(got) == len(recorded) == 51
    different = [line for line, real in zip(got, recorded, strict=True) if line != real]
    unexplained = [line for line in different if not any(line.startswith(start) for start in EXPLAINED)]
    assert not unexplained
    assert len(different) == 5


def test_mistakes_raise_as_in_slicer():
    button, combo = qt.QPushButton("Apply"), slicer.qMRMLNodeComboBox()
    with pytest.raises(TypeError):
        button.text()  # a property, not a method
    with pytest.raises(AttributeError):
        button.caption = "Run"
    with pytest.raises(ValueError):
        button.connect("pressedHard()", print)
    with pytest.raises(ValueError):
        combo.connect("currentNodeChanged(QString)", print)
    button.text = "Run"
    assert button.text == "Run"


def test_vtk_errors_are_noticed(cleanScene):  # noqa: F811
    window = vtk.vtkOutputWindow.GetInstance()
    window.DisplayErrorText("ERROR: planted")
    assert any("planted" in error for error in cleanScene)
    cleanScene.clear()  # they were expected


def test_exceptions_in_slots_are_noticed(cleanScene):  # noqa: F811
    button = qt.QPushButton()
    button.connect("clicked(bool)", lambda: 1 / 0)
    button.click()
    assert any("ZeroDivisionError" in error for error in cleanScene)
    cleanScene.clear()  # they were expected
