"""The console examples of the help text and the tutorial do what they say: they are run here."""

import re
import sys
import textwrap
import types

import pytest
import SimpleITK as sitk
from harness.fixtures import ROOT, cleanScene, logic, models, slicer, standIn  # noqa: F401

import phantoms  # isort: skip
import qt  # isort: skip
import signatures  # isort: skip
from SegSRGANModule.Jobs import SampleData  # isort: skip


@pytest.fixture
def folders(tmp_path):
    (tmp_path / "in").mkdir()
    sitk.WriteImage(phantoms.image(), str(tmp_path / "in" / "scan.nii.gz"))
    return tmp_path


def _run(code: str, folders) -> dict:
    names = {"slicer": slicer}
    exec(code.replace("/data/", f"{folders}/"), names)  # noqa: S102
    assert (folders / "out" / "scan_sr.nii.gz").is_file()
    return names


def test_example_of_the_help_text(logic, standIn, folders):  # noqa: F811
    phantoms.node("T2w")
    code = re.search(r"<pre>(.*?)</pre>", slicer.modules.segsrgan.helpText, re.DOTALL).group(1)
    assert _run(code, folders)["cortex"].GetClassName() == "vtkMRMLSegmentationNode"


def test_examples_of_the_tutorial(logic, standIn, folders, capsys):  # noqa: F811
    phantoms.node("T2w")
    text = (ROOT / "docs" / "tutorial.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 2
    assert _run(textwrap.dedent("\n".join(blocks)), folders)["probability"].GetName() == "T2w cortex probability"
    assert "T2w enhanced" in capsys.readouterr().out


def test_the_callback_of_the_tutorial_survives_a_cancelled_run(logic, standIn, folders, capsys):  # noqa: F811
    phantoms.node("T2w")
    text = (ROOT / "docs" / "tutorial.md").read_text()
    first, second = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    code = "\n".join([first, second.replace("run.wait()", "run.cancel()\nrun.wait()")])
    standIn("slow")
    exec(code.split("logic.enhanceFolder")[0].replace("volume, cortex, probability", "# "), {"slicer": slicer})  # noqa: S102
    assert capsys.readouterr().out.strip().endswith("cancelled")


def test_pictures_of_the_tutorial_exist():
    names = re.findall(r"\]\(\.\./(Resources/[^)]+)\)", (ROOT / "docs" / "tutorial.md").read_text())
    assert len(names) >= 6
    assert not [name for name in names if not (ROOT / name).is_file()]


@pytest.fixture
def sampleDataModule(monkeypatch):
    """Slicer's SampleData module with the recorded signatures; yields what is registered."""
    registered = []
    register = "SampleData.SampleDataLogic.registerCustomSampleDataSource"
    stand = types.SimpleNamespace(
        registerCustomSampleDataSource=signatures.stub(register, lambda **given: registered.append(given))
    )
    monkeypatch.setitem(sys.modules, "SampleData", types.SimpleNamespace(SampleDataLogic=stand))
    return registered


def test_samples_are_registered_with_a_checksum(logic, sampleDataModule):  # noqa: F811 (the module is there)
    slicer.app.startupCompleted.emit()
    assert [entry["sampleName"] for entry in sampleDataModule] == [SampleData.ATLAS_NAME, SampleData.PHANTOM_NAME]
    assert re.fullmatch("SHA256:[0-9a-f]{64}", sampleDataModule[0]["checksums"])
    assert "/38cf1fb77bc896d133941b8f5388ef18feb2cae7/" in sampleDataModule[0]["uris"]
    assert all("thick slices" in entry["nodeNames"] for entry in sampleDataModule)  # what the buttons say
    assert all(callable(entry["customDownloader"]) for entry in sampleDataModule)


def test_checksum_of_the_atlas(shared_data):
    import hashlib

    path = shared_data / "fidon2021" / "sub-SBA34op" / "anat" / "sub-SBA34op_T2w.nii.gz"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SampleData.ATLAS_SHA256
    high, low = SampleData.loadThick(path, "SBA34_T2w")
    assert low.GetSpacing()[2] == pytest.approx(3.2, abs=1e-3)
    assert high.GetImageData().GetDimensions()[2] // 4 == low.GetImageData().GetDimensions()[2]


def test_phantom_sample_is_made_offline_while_the_window_stays_alive():
    ticks = []
    timer = qt.QTimer()
    timer.setInterval(20)
    timer.connect("timeout()", lambda: ticks.append(1))
    timer.start()
    volume, labels = SampleData.loadPhantom()
    timer.stop()
    assert len(ticks) > 20
    assert volume.GetSpacing() == pytest.approx((0.8, 0.8, 3.2))
    assert slicer.util.arrayFromVolume(labels).max() == 8
    ends = []
    for node in (volume, labels):
        corner = [0.0] * 6
        node.GetRASBounds(corner)
        ends.append(corner)
    assert ends[0] == pytest.approx(ends[1], abs=1e-3)  # the same field of view
