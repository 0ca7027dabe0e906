"""DICOM results: read back by several readers that share nothing with the writer, and judged against the standard."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from support.command_line import model, predict  # noqa: F401 (a fixture)
from support.dicom_files import mr_series, save_series
from support.grids import awkward_grids, positions

from SegSRGANLib.batch.jobs import Job
from SegSRGANLib.batch.worker import BatchOptions, process
from SegSRGANLib.data.grid import Grid
from SegSRGANLib.inference.enhancement import Enhancement
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.io.dicom.study import DicomSource, read_source
from SegSRGANLib.io.volume import VolumeError, read_volume
from SegSRGANLib.models.checkpoint import load_checkpoint
from SegSRGANLib.results import files as results
from SegSRGANLib.results.dicom_folder import write_dicom
from SegSRGANLib.results.files import check_writable, save_enhancement
from SegSRGANLib.results.paths import result_paths
from SegSRGANLib.utils.process_pool import DONE, FAILED, SKIPPED

GRIDS = awkward_grids()
RECORD = {"software": {"segsrgan": "1.2.3"}, "model": {"name": "tiny", "title": "Tiny", "sha256": "ab" * 32}}
FRAME = "1.2.840.99.7"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A scan with what hospitals put into headers, and more."""
    series = mr_series()
    for data in series:
        data.SpecificCharacterSet, data.PatientName = "ISO_IR 100", "Müller^Zoé"
        data.PatientID, data.PatientBirthDate, data.PatientSex, data.PatientAge = "P-17", "20260102", "F", "003D"
        data.StudyDate, data.StudyTime, data.StudyID, data.AccessionNumber = "20260105", "101500", "S1", "A-99"
        data.ReferringPhysicianName, data.OperatorsName, data.PatientComments = "Dr^Who", "Op^Erator", "twin"
        data.Manufacturer, data.ManufacturerModelName, data.MagneticFieldStrength = "Scanners", "S-3", 3
        data.InstitutionName, data.FrameOfReferenceUID, data.SeriesNumber = "Hospital", FRAME, 5
        data.ScanningSequence, data.SequenceVariant, data.EchoTime = "SE", ["SK", "SP"], 120
        data.PatientPosition, data.LossyImageCompression = "HFS", "00"
        data.DeidentificationMethodCodeSequence = [hidden := pydicom.Dataset()]
        hidden.CodeValue, hidden.CodingSchemeDesignator, hidden.CodeMeaning = "113100", "DCM", "Basic Profile"
        hidden.private_block(0x0011, "SCANNERS", create=True).add_new(1, "LO", "secret")
        data.private_block(0x0011, "SCANNERS", create=True).add_new(1, "LO", "secret")
    return save_series(tmp_path_factory.mktemp("scan"), series)


@pytest.fixture(scope="module")
def source(folder) -> DicomSource:
    return read_source(folder)


def _result(grid: Grid, labels: np.ndarray | None = None) -> Enhancement:
    rng = np.random.default_rng(0)
    sr = rng.normal(300, 200, grid.shape).astype(np.float32)
    if labels is None:
        labels = (rng.random(grid.shape) < 0.3).astype(np.uint8)
        labels[2:4] = 0  # slices without cortex
    image = grid.image(labels)
    probabilities = {"cortex": sitk.Cast(image, sitk.sitkFloat32)}
    return Enhancement(grid.image(sr), probabilities, image, json.loads(json.dumps(RECORD)))


@pytest.fixture(scope="module", params=GRIDS)
def written(request, source, tmp_path_factory) -> tuple[Enhancement, Path]:
    result = _result(GRIDS[request.param])
    target = tmp_path_factory.mktemp(request.param)
    write_dicom(result, source, target)
    return result, target


def _assert_same_places(image: sitk.Image, other: sitk.Image, tolerance: float) -> None:
    """Every voxel of `image` has its value at the same place of `other`: to 0.0001 mm, and nothing else is there."""
    values, grid = sitk.GetArrayFromImage(image), Grid.of(other)
    axes = np.array(grid.direction).reshape(3, 3)
    index = (positions(Grid.of(image)) - np.array(grid.origin)) @ axes / np.array(grid.spacing)
    nearest = np.rint(index).astype(int)
    assert np.abs((index - nearest) * np.array(grid.spacing)).max() < 1e-4
    inside = np.all((nearest >= 0) & (nearest < grid.size), axis=-1)
    found = np.zeros(values.shape)
    found[inside] = sitk.GetArrayFromImage(other)[tuple(nearest[inside][:, k] for k in (2, 1, 0))]
    assert np.abs(found - values).max() <= tolerance
    assert np.count_nonzero(inside) == np.prod(grid.size)


def test_the_series_comes_back(written):
    """By our own reader and by SimpleITK's, which sorts the files in its own way."""
    result, target = written
    values = sitk.GetArrayViewFromImage(result.sr)
    quantization = float(np.ptp(values)) / 65535 * 0.51
    _assert_same_places(result.sr, read_volume(target / "sr"), quantization)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(target / "sr")))
    _assert_same_places(result.sr, reader.Execute(), quantization)


def test_the_segmentation_comes_back_by_highdicom(written):
    result, target = written
    volume = highdicom.seg.segread(target / "cortex.dcm").get_volume(combine_segments=True)
    affine = np.array(volume.affine)  # LPS, array axes (frames, rows, columns)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    directions = (affine[:3, :3] / spacing)[:, ::-1]
    grid = Grid(
        volume.array.shape[::-1], tuple(spacing[::-1]), tuple(affine[:3, 3]), tuple(directions.ravel().tolist())
    )
    _assert_same_places(result.labels, grid.image(volume.array), 0)


def test_several_classes_are_segments_with_their_names(source, tmp_path):
    grid = GRIDS["oblique"]
    labels = np.random.default_rng(3).integers(0, 4, grid.shape).astype(np.uint8)
    plain, names = _result(grid, labels), ("cortex", "white matter of the left side", "fluid")
    write_dicom(replace(plain, probabilities=dict.fromkeys(names, plain.sr)), source, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"sr", "segmentation.dcm"}
    segmentation = highdicom.seg.segread(tmp_path / "segmentation.dcm")
    for number, name in enumerate(names, start=1):
        description = segmentation.get_segment_description(number)
        kind = description.segmented_property_type
        if name == "cortex":
            assert (kind.value, kind.scheme_designator) == ("40146001", "SCT")
        else:
            assert description.segment_label == kind.meaning == name and kind.scheme_designator == "99SEGSRGAN"
    array = segmentation.get_volume(combine_segments=True).array
    assert array.size == labels.size
    np.testing.assert_array_equal(np.bincount(array.ravel()), np.bincount(labels.ravel()))
    one = highdicom.seg.segread(tmp_path / "segmentation.dcm").get_volume(segment_numbers=[2], combine_segments=True)
    assert np.count_nonzero(one.array) == np.count_nonzero(labels == 2)


@pytest.mark.skipif(shutil.which("segimage2itkimage", path=Path(sys.executable).parent) is None, reason="needs dcmqi")
def test_the_segmentation_comes_back_by_dcmqi(written, tmp_path):
    """The converter that Slicer reads segmentations with."""
    result, target = written
    command = [Path(sys.executable).parent / "segimage2itkimage", "--inputDICOM", target / "cortex.dcm"]
    done = subprocess.run([*command, "--outputDirectory", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = tmp_path.glob("*.nrrd")
    _assert_same_places(result.labels, sitk.ReadImage(str(file)), 0)
    (segment,) = json.loads(next(tmp_path.glob("*.json")).read_text())["segmentAttributes"][0]
    assert segment["SegmentedPropertyTypeCodeSequence"]["CodeValue"] == "40146001"
    assert np.abs(np.array(segment["recommendedDisplayRGBValue"]) - (240, 140, 51)).max() <= 2


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy of the Debian package dicom3tools")
def test_the_files_follow_the_standard(written):
    _, target = written
    for file in (target / "sr" / "0001.dcm", target / "cortex.dcm"):
        done = subprocess.run(["dciodvfy", file], capture_output=True, text=True, errors="replace")
        said = (done.stdout + done.stderr).splitlines()
        assert any(word in "".join(said) for word in ("MRImage", "Segmentation"))
        assert [line for line in said if line.startswith("Error")] == []


def test_what_is_taken_over_and_what_is_new(source, tmp_path):
    write_dicom(_result(GRIDS["oblique"]), source, tmp_path)
    slices = [pydicom.dcmread(file) for file in sorted((tmp_path / "sr").iterdir())]
    cortex, scan = pydicom.dcmread(tmp_path / "cortex.dcm"), source.headers[0]
    copied = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate")
    copied += ("StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName", "FrameOfReferenceUID")
    for data in (*slices, cortex):
        assert all(data[keyword].value == scan[keyword].value for keyword in copied)
        assert data.Manufacturer == "SegSRGAN" and "research use only" in data.SeriesDescription
        equipment = [
            (item.ManufacturerModelName, item.get("DeviceSerialNumber")) for item in data.ContributingEquipmentSequence
        ]
        assert ("tiny", "ab" * 32) in equipment and ("S-3", None) in equipment
    assert str(slices[0].PatientName) == "Müller^Zoé"
    new = [data.SOPInstanceUID for data in (*slices, cortex)]
    series = {data.SeriesInstanceUID for data in (slices[0], cortex)}
    old = {header.SOPInstanceUID for header in source.headers} | {scan.SeriesInstanceUID}
    assert len(set(new)) == len(new) == len(slices) + 1 and len(series) == 2
    assert not old & (set(new) | series)
    assert list(slices[0].ImageType)[:2] == ["DERIVED", "SECONDARY"]
    assert {item.ReferencedSOPInstanceUID for item in slices[0].SourceImageSequence} == old - {scan.SeriesInstanceUID}
    assert (slices[0].SeriesNumber, cortex.SeriesNumber) == (501, 502)
    assert (slices[0].EchoTime, list(slices[0].SequenceVariant)) == (120, ["SK", "SP"])
    referenced = cortex.ReferencedSeriesSequence[0]
    assert referenced.SeriesInstanceUID == slices[0].SeriesInstanceUID
    assert {item.ReferencedSOPInstanceUID for item in referenced.ReferencedInstanceSequence} <= set(new)


def test_nothing_else_of_the_patient_passes(folder, source, tmp_path):
    """No private attribute, no comment, operator or institution; the record names none of it."""
    paths = save_enhancement(_drawable(), _scan(), tmp_path, "r", source=source)
    for file in paths["dicom"].rglob("*.dcm"):
        content = file.read_bytes()
        assert not any(word in content for word in (b"secret", b"twin", b"Op^Erator", b"Hospital"))
        assert not any(element.tag.is_private for element in pydicom.dcmread(file).iterall())
    record = paths["record"].read_text()
    assert not any(word in record for word in ("Zo", "P-17", FRAME, "A-99"))


def test_a_header_with_the_least_is_enough(tmp_path):
    """A series without patient, physician, frame of reference or scanner; and a value that breaks the standard."""
    series = mr_series(slices=3)
    for data in series:
        del data.PatientName
    folder = save_series(tmp_path / "bare", series)
    source = read_source(folder)
    (tmp_path / "out").mkdir()
    write_dicom(_result(GRIDS["canonical"]), source, tmp_path / "out")
    data = pydicom.dcmread(tmp_path / "out" / "sr" / "0001.dcm")
    assert not data.PatientName and not data.PatientID and data.BodyPartExamined == "BRAIN"
    assert data.FrameOfReferenceUID == pydicom.dcmread(tmp_path / "out" / "cortex.dcm").FrameOfReferenceUID != ""
    for data in series:
        data.add(pydicom.DataElement(0x00100010, "PN", "A^B"))
        data.StudyInstanceUID = ""
    with pytest.raises(VolumeError, match="which study"):
        read_source(save_series(tmp_path / "no-study", series))


def test_a_result_without_cortex(source, tmp_path):
    grid = GRIDS["canonical"]
    empty = _result(grid, np.zeros(grid.shape, np.uint8))
    (tmp_path / "empty").mkdir()
    write_dicom(empty, source, tmp_path / "empty")
    assert not highdicom.seg.segread(tmp_path / "empty" / "cortex.dcm").pixel_array.any()
    (tmp_path / "none").mkdir()
    write_dicom(Enhancement(empty.sr, {}, None, RECORD), source, tmp_path / "none")
    assert [path.name for path in (tmp_path / "none").iterdir()] == ["sr"]


def _scan() -> sitk.Image:
    grid = Grid((12, 14, 6), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), tuple(np.eye(3).ravel()))
    return grid.image(np.random.default_rng(0).random(grid.shape).astype(np.float32))


def _drawable() -> Enhancement:
    return _result(Grid.of(_scan()))


def test_the_folder_appears_whole_or_not_at_all(source, tmp_path, monkeypatch):
    result, scan = _drawable(), _scan()
    paths = save_enhancement(result, scan, tmp_path, "r", source=source)
    assert paths == result_paths(tmp_path, "r", dicom=True)

    def content() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    before = content()
    with pytest.raises(ValueError, match="r_dicom is already there"):
        check_writable([paths["dicom"]], overwrite=False)

    def full(enhancement, source, folder):
        (folder / "sr").mkdir()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(results, "write_dicom", full)
        with pytest.raises(VolumeError, match="No space left"):
            save_enhancement(result, scan, tmp_path, "r", overwrite=True, source=source)
    assert content() == before
    assert not list(tmp_path.glob(".*"))
    (paths["dicom"] / "notes.txt").write_text("a person's")
    with pytest.raises(VolumeError, match="a folder has this name"):
        save_enhancement(result, scan, tmp_path, "r", overwrite=True, source=source)
    assert (paths["dicom"] / "notes.txt").exists() and paths["record"].exists()


def test_other_inputs_are_refused_in_one_sentence(tmp_path, monkeypatch):
    volume = tmp_path / "scan.nii.gz"
    sitk.WriteImage(_scan(), str(volume))
    with pytest.raises(VolumeError, match=r"^scan.nii.gz is not a DICOM series.*leave out --dicom\.$"):
        read_source(volume)
    with pytest.raises(VolumeError, match="does not exist"):
        read_source(tmp_path / "nothing")
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(ImportError, match=r"install.*pydicom highdicom"):
        read_source(volume)


def test_the_command(folder, tmp_path, model, capfd):  # noqa: F811 (the fixture)
    """From a folder of slices to DICOM in its place; the volumes and the DICOM files say the same."""
    out = tmp_path / "out"
    status, _, errors = predict(capfd, folder, out, model, "--dicom", "--progress", "none")
    assert status == 0, errors
    image, again = read_volume(out / f"{folder.name}_sr.nii.gz"), read_volume(out / f"{folder.name}_dicom" / "sr")
    _assert_same_places(image, again, float(np.ptp(sitk.GetArrayViewFromImage(image))) / 4096)
    status, _, errors = predict(capfd, folder, out, model, "--dicom", "--progress", "none")
    assert status == 1 and "already there" in errors


def test_the_command_refuses_other_inputs_before_the_work(tmp_path, model, capfd):  # noqa: F811 (the fixture)
    sitk.WriteImage(_scan(), str(tmp_path / "scan.nii.gz"))
    status, _, errors = predict(capfd, tmp_path / "scan.nii.gz", tmp_path / "out", model, "--dicom")
    assert status == 1 and not (tmp_path / "out").exists()
    assert errors.strip().splitlines()[-1].startswith("Error: scan.nii.gz is not a DICOM series")


def test_a_batch(folder, tmp_path, model):  # noqa: F811 (the fixture)
    """DICOM folders are done, skipped when they are there, and made again when asked for; others are reported."""
    prediction = PredictionOptions(patch=0, device="cpu")
    options = BatchOptions(tmp_path / "out", str(model), EnhanceOptions(1.0, prediction=prediction), dicom=True)
    loaded, job, place = load_checkpoint(model), Job(folder, "axial"), tmp_path / "out" / "axial_dicom"
    assert process(job, options, loaded).status == DONE
    first = pydicom.dcmread(place / "cortex.dcm").SOPInstanceUID
    assert place.name in json.loads((tmp_path / "out" / "axial_record.json").read_text())["files"]
    assert process(job, options, loaded).status == SKIPPED
    (place / "sr" / "9999.dcm").write_bytes(b"left over")
    assert process(job, replace(options, overwrite=True), loaded).status == DONE
    assert pydicom.dcmread(place / "cortex.dcm").SOPInstanceUID != first
    assert not (place / "sr" / "9999.dcm").exists()
    (tmp_path / "out" / "axial_record.json").unlink()  # as after a crash: the folder is there, but no result
    assert process(job, options, loaded).status == DONE
    shutil.rmtree(place)
    assert process(job, options, loaded).status == DONE and place.is_dir()
    sitk.WriteImage(_scan(), str(tmp_path / "other.nii.gz"))
    outcome = process(Job(tmp_path / "other.nii.gz", "other"), options, loaded)
    assert outcome.status == FAILED and "other.nii.gz is not a DICOM series" in outcome.reason
