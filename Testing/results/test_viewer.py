"""What the viewer finds, says and serves; no browser needed."""

from __future__ import annotations

import gzip
import http.client
import json
import struct
import threading
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from support.results_on_disk import SIDE, write_result
from typer.testing import CliRunner

from SegSRGANLib.cli.app import build
from SegSRGANLib.results.viewer import volumes
from SegSRGANLib.results.viewer.facts import places_of, verdict_of
from SegSRGANLib.results.viewer.page import TooLarge, layers_of, render_list, render_study, volumes_of, write_view
from SegSRGANLib.results.viewer.server import ResultServer
from SegSRGANLib.results.viewer.study import find_studies
from SegSRGANLib.results.viewer.volumes import compressed, intensity_payload, label_payload
from SegSRGANLib.utils.errors import VolumeError


def test_a_result_with_its_scan_is_found(tmp_path):
    write_result(tmp_path / "out", "a")
    (study,) = find_studies(tmp_path / "out")
    assert study.name == "a" and study.scan == tmp_path / "out" / "a.nii.gz" and not study.missing
    assert set(study.files) == {"sr", "labels", "consistency"}
    (tmp_path / "raw").mkdir()
    moved = study.scan.rename(tmp_path / "raw" / "a.nii.gz")
    assert find_studies(tmp_path / "out")[0].scan is None
    assert find_studies(tmp_path / "out", tmp_path / "raw")[0].scan == moved
    assert find_studies(tmp_path / "out", moved)[0].scan == moved
    moved.rename(tmp_path / "kept")
    moved.mkdir()  # a DICOM folder
    assert find_studies(tmp_path / "out", moved)[0].scan == moved


def test_bids_derivatives_name_their_dataset(tmp_path):
    raw, out = tmp_path / "raw", tmp_path / "out"
    write_result(out / "sub-01" / "anat", "sub-01_T2w")
    (raw / "sub-01" / "anat").mkdir(parents=True)
    scan = (out / "sub-01" / "anat" / "sub-01_T2w.nii.gz").rename(raw / "sub-01" / "anat" / "sub-01_T2w.nii.gz")
    (raw / "dataset_description.json").write_text("{}")
    (out / "dataset_description.json").write_text(json.dumps({"DatasetLinks": {"raw": raw.as_uri()}}))
    assert find_studies(out)[0].scan == scan


def test_what_is_missing_is_said_in_one_sentence(tmp_path):
    with pytest.raises(VolumeError, match="no file or folder"):
        find_studies(tmp_path / "nowhere")
    with pytest.raises(VolumeError, match="no result of segsrgan"):
        find_studies(tmp_path)
    (tmp_path / "x_record.json").write_text('{"input": 3}')
    with pytest.raises(VolumeError, match="no result of segsrgan"):
        find_studies(tmp_path)
    write_result(tmp_path, "a")
    (tmp_path / "a_consistency.nii.gz").unlink()
    (tmp_path / "a.nii.gz").unlink()
    layers, notes = layers_of(find_studies(tmp_path)[0])
    assert [layer.role for layer in layers] == ["sr", "labels"]
    assert "a_consistency.nii.gz is missing." in notes and "--scan" in notes[1]
    (tmp_path / "a_sr.nii.gz").unlink()
    with pytest.raises(VolumeError, match=r"missing \(a_sr\.nii\.gz\)"):
        layers_of(find_studies(tmp_path)[0])


def test_a_scan_of_another_result_is_told(tmp_path):
    write_result(tmp_path, "a")
    other = sitk.ReadImage(str(tmp_path / "a.nii.gz")) + 1
    sitk.WriteImage(other, str(tmp_path / "a.nii.gz"))
    assert any(
        "is not the scan that this result was made of" in note for note in layers_of(find_studies(tmp_path)[0])[1]
    )


def test_what_is_empty_or_damaged_is_said_and_the_rest_is_shown(tmp_path):
    write_result(tmp_path, "a")
    for role in ("cortex", "consistency"):
        image = sitk.ReadImage(str(tmp_path / f"a_{role}.nii.gz"))
        sitk.WriteImage(image * 0, str(tmp_path / f"a_{role}.nii.gz"))
    study = find_studies(tmp_path)[0]
    layers, notes = layers_of(study)
    assert [layer.role for layer in layers] == ["scan", "sr"]
    assert any("a_cortex.nii.gz is zero" in note for note in notes)
    assert any("a_consistency.nii.gz holds the same value" in note for note in notes)
    assert volumes_of(layers) == [] and not places_of(study)
    (tmp_path / "a_cortex.nii.gz").write_bytes(b"no volume")
    layers, notes = layers_of(study)
    assert "a_cortex.nii.gz" in " ".join(notes) and volumes_of(layers) == []
    assert "a_cortex.nii.gz" in render_study(study, layers, notes, embedded=True)


def test_payloads_keep_values_and_places(tmp_path):
    write_result(tmp_path, "a")
    source = sitk.ReadImage(str(tmp_path / "a_sr.nii.gz"))
    (tmp_path / "copy.nii.gz").write_bytes(compressed(intensity_payload(tmp_path / "a_sr.nii.gz")))
    copy, original = nibabel.load(tmp_path / "copy.nii.gz"), nibabel.load(tmp_path / "a_sr.nii.gz")
    assert copy.get_data_dtype() == np.int16
    assert np.abs(copy.get_fdata() - original.get_fdata()).max() <= sitk.GetArrayFromImage(source).max() / 64_000
    assert np.allclose(copy.affine, original.affine)


def test_a_volume_too_large_for_a_browser_is_shrunk_in_place(tmp_path, monkeypatch):
    write_result(tmp_path, "a")
    monkeypatch.setattr(volumes, "MOST_VOXELS", SIDE**3 // 8)
    for make, name in ((intensity_payload, "sr"), (label_payload, "cortex")):
        path = tmp_path / f"a_{name}.nii.gz"
        payload = make(path)
        assert payload.shrunk == 2
        (tmp_path / "small.nii").write_bytes(payload.content)
        small, full = nibabel.load(tmp_path / "small.nii"), nibabel.load(path)
        assert small.shape == (SIDE // 2,) * 3
        middle = [image.affine @ [*((np.array(image.shape) - 1) / 2), 1] for image in (small, full)]
        assert np.abs(middle[0] - middle[1]).max() <= 0.51  # labels take a voxel beside the middle
    layers, notes = layers_of(find_studies(tmp_path)[0])
    assert any("1 of 2 voxels" in note for note in notes)
    assert volumes_of(layers) == [("cortex", pytest.approx(0.216))]  # of all voxels, not of those that are shown


def test_places_and_volumes(tmp_path):
    write_result(tmp_path, "a")
    study = find_studies(tmp_path)[0]
    first = places_of(study)[0]
    # the block: x 3 to 8 of 24 is 8.5 to 3.5 mm to the right (RAS +), y 4 to 9 anterior, z 14 to 19 superior
    assert all(low <= value <= high for value, low, high in zip(first["mm"], (2.5, 1.5, 1.5), (9, 8, 8), strict=True))
    assert "right" in first["where"] and "anterior" in first["where"] and "superior" in first["where"]
    assert volumes_of(layers_of(study)[0]) == [("cortex", pytest.approx(0.216))]
    (tmp_path / "a_consistency.nii.gz").unlink()
    assert places_of(find_studies(tmp_path)[0])[0]["mm"] == [6.0, 5.0, 4.0]


@pytest.mark.parametrize(
    ("dice", "words"),
    [(0.8, "0.80"), ([0.7, 0.85], "0.70 to 0.85"), ({"value": 0.8, "low": 0.7, "high": 0.9}, "0.80 (0.70 to 0.90)")]
    + [(None, ""), (float("nan"), ""), ("x", "")],
)
def test_verdicts(dice, words):
    verdict = verdict_of({"verdict": {"word": "do not use", "reasons": ["why"], "predicted_dice": dice}})
    assert verdict == {"word": "do not use", "style": "do-not-use", "reasons": ["why"], "dice": words}
    assert verdict_of({}) is None and verdict_of({"verdict": "usable"}) is None


HOSTILE = "<img src=x onerror=document.title='taken'>"


def test_hostile_names_are_text(tmp_path):
    write_result(tmp_path, HOSTILE, warnings=["</script><script>document.title='taken'</script>"], classes=[HOSTILE])
    study = find_studies(tmp_path)[0]
    layers, notes = layers_of(study)
    text = render_study(study, layers, notes, embedded=True)
    assert "<img" not in text and "<script>" not in text and text.count("</script>") == 3 + len(layers)


def test_the_list_gives_the_reasons_of_the_verdict_or_else_the_warnings(tmp_path):
    judged = {"word": "look closely", "reasons": ["Slice 14 is brighter.", "Fair."]}
    write_result(tmp_path, "a", verdict={"word": "look closely", "reasons": ["Fair."]}, warnings=["1.", "2.", "3."])
    write_result(tmp_path, "b", verdict=judged)
    write_result(tmp_path, "c", warnings=["An old record."])
    text = render_list(find_studies(tmp_path), "n")
    assert text.index(">b<") < text.index("Slice 14 is brighter. Fair.") < text.index(">a<")  # more reasons first
    assert "An old record." in text and "1. 2. 3." not in text


def test_an_incomplete_record_is_said(tmp_path):
    write_result(tmp_path, "a", software={"segsrgan": "0"})
    (study,) = find_studies(tmp_path)
    with pytest.raises(VolumeError, match="record of a is incomplete .*torch"):
        write_view(study, tmp_path / "a.html")
    with ResultServer([study]) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        answer, said = ask(server, f"/{server.token}/0/")
        server.shutdown()
    assert answer.status == 500 and b"incomplete" in said  # a connection that just closes says nothing


def test_a_page_has_a_limit(tmp_path):
    write_result(tmp_path, "a")
    study = find_studies(tmp_path)[0]
    with pytest.raises(TooLarge, match="segsrgan view"):
        write_view(study, tmp_path / "a.html", largest=900_000)
    assert not (tmp_path / "a.html").exists()
    write_view(study, tmp_path / "a.html")
    assert (tmp_path / "a.html").stat().st_size < 1_500_000


@pytest.fixture
def server(tmp_path):
    write_result(tmp_path / "out", "a")
    write_result(tmp_path / "out", "b", verdict={"word": "do not use", "reasons": ["cut off"]})
    server = ResultServer(find_studies(tmp_path / "out"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def ask(server, path, host=None, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.request(method, path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def test_the_server_gives_the_pages_and_nothing_else(server):
    assert server.server_address[0] == "127.0.0.1" and len(server.token) >= 32
    token = f"/{server.token}"
    answer, listing = ask(server, f"{token}/")
    assert answer.status == 200 and listing.index(b">b<") < listing.index(b">a<")  # the worst first
    answer, page = ask(server, f"{token}/0/")
    assert answer.status == 200 and b"niivue" in page
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    answer, volume = ask(server, f"{token}/0/sr.nii")
    assert answer.status == 200 and struct.unpack("<i", volume[:4]) == (348,)
    refused = ["/", "/x/", "/favicon.ico", f"{token}", f"{token}/2/", f"{token}/-1/", f"{token}/0/../../etc/passwd"]
    refused += [f"{token}/0/brain.nii", f"{token[:-1]}x/", f"{token}/0/sr.nii/..", "/%C3%A9/"]
    for path in refused:
        answer, content = ask(server, path)
        assert (answer.status, content) == (404, b""), path
    assert ask(server, f"{token}/", host="evil.example")[0].status == 404
    assert ask(server, f"{token}/", method="POST")[0].status == 501


def test_the_server_says_what_is_missing(server):
    server.studies[0].files["sr"].unlink()
    answer, content = ask(server, f"/{server.token}/0/")
    assert answer.status == 500 and b"a_sr.nii.gz" in content


def test_the_command(tmp_path):
    write_result(tmp_path / "out", "a")
    run = CliRunner()
    page = tmp_path / "page.html"
    assert run.invoke(build(), ["view", str(tmp_path / "out"), "-o", str(page)]).exit_code == 0
    assert page.read_text().startswith("<!doctype html>")
    assert "already there" in run.invoke(build(), ["view", str(tmp_path / "out"), "-o", str(page)]).output
    assert "There is no file or folder" in run.invoke(build(), ["view", str(tmp_path / "no")]).output
    (tmp_path / "stop").touch()
    stop = ["--cancel-file", str(tmp_path / "stop"), "--no-browser"]
    done = run.invoke(build(), ["view", str(tmp_path / "out"), *stop])
    assert done.exit_code == 0 and done.output.startswith("http://127.0.0.1:")


def test_the_library_is_the_one_that_its_licence_names():
    folder = Path(volumes.__file__).parent
    script = (folder / "niivue.js").read_bytes()
    assert b"0.69.0" in script and len(script) < 1_000_000 and len(gzip.compress(script)) < 400_000
    assert b"</script" not in script and b"<!--" not in script  # it lies inside the page
    licence = (folder / "niivue.LICENSE").read_text(encoding="utf-8")
    assert all(name in licence for name in ("niivue 0.69.0", "gl-matrix", "nifti-reader-js", "fflate"))
