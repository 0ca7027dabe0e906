"""The pages: one file each, light, and alive in a real browser."""

import base64
import io
import re

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from support.batch_cohort import OPTIONS, save_tiny_model, write_scan
from support.browser import page_title
from support.grids import awkward_grids, blob, oblique_direction

from SegSRGANLib.cli.app import build
from SegSRGANLib.data.grid import Grid
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.inference.pipeline import enhance
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import Model
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig
from SegSRGANLib.results.html_page import write_subject_report
from SegSRGANLib.visualization.overlays import draw_cross_sections

pytest.importorskip("jinja2", reason="needs the extra report")


Image = pytest.importorskip("PIL.Image", reason="needs the extra report")
PREDICTION = PredictionOptions(patch=0, device="cpu")


@pytest.fixture(scope="module")
def result():
    torch.manual_seed(0)
    model = Model(Generator(GeneratorConfig(2, 1)).eval(), ModelCard(title="A <tiny> model"))
    scan = blob(awkward_grids()["oblique"], 4.0) * 100 + 1
    return scan, enhance(scan, model, EnhanceOptions(0.7, prediction=PREDICTION, uncertainty=2))


@pytest.fixture(scope="module")
def page(result, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "subject.html"
    write_subject_report(result[1], result[0], path, "sub-01 <script>alert(1)</script>")
    return path


def _pixels(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))))


def test_page_is_one_light_file_that_escapes_what_it_shows(page):
    text = page.read_text()
    assert len(text) < 3_000_000
    assert "<script>alert" not in text and "A &lt;tiny&gt; model" in text
    assert not re.findall(r"""(?:src|href)=["'](?!data:)[^"']+""", text)
    assert text.count("Research use only") == 1 and "Euler number" in text


def test_predict_writes_a_page_when_asked(tmp_path, capfd):
    scan = write_scan(tmp_path / "a.nii.gz")
    model = save_tiny_model(tmp_path / "m.safetensors")
    with pytest.raises(SystemExit) as end:
        build()(["predict", str(scan), "-o", str(tmp_path / "out"), "-m", str(model), *OPTIONS, "--report"])
    assert not end.value.code and "a_report.html" in capfd.readouterr().out
    assert "<title>a - SegSRGAN</title>" in (tmp_path / "out" / "a_report.html").read_text()


def test_layers_of_a_plane_have_one_size_and_show_the_anatomy_upright():
    """A blob that lies right, anterior and superior of the middle is seen left, up and up."""
    torch.manual_seed(0)
    model = Model(Generator(GeneratorConfig(2, 1)).eval(), ModelCard())
    small = oblique_direction((0.05, -0.04, 0.06))
    for direction in (small, small[:, [2, 0, 1]], small * np.array([1, -1, -1])):
        grid = Grid((24, 26, 28), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), tuple(direction.ravel()))
        scan = blob(grid, 2.5, offset=(-5.0, -5.0, 5.0)) * 100 + 1
        result = enhance(scan, model, EnhanceOptions(1.0, prediction=PREDICTION))
        array = sitk.GetArrayFromImage(scan)
        peak = scan.TransformIndexToPhysicalPoint(
            [int(i) for i in reversed(np.unravel_index(array.argmax(), array.shape))]
        )
        planes = {plane.name: plane for plane in draw_cross_sections(result, scan, np.array(peak))}
        wanted = {"axial": (-1, -1), "coronal": (-1, -1), "sagittal": (-1, -1)}
        assert set(planes) == set(wanted)
        for name, plane in planes.items():
            shapes = {_pixels(uri).shape[:2] for uri in plane.layers.values()}
            assert len(shapes) == 1
            pixels = _pixels(plane.layers["scan"]).astype(float)
            pixels[pixels < 60] = 0
            rows, columns = (float((i * pixels).sum() / pixels.sum()) for i in np.indices(pixels.shape))
            middle = (np.array(pixels.shape) - 1) / 2
            assert (np.sign(rows - middle[0]), np.sign(columns - middle[1])) == wanted[name], name


def test_swipe_and_overlays_in_a_browser(page, browse):
    dom = browse(
        page,
        """
        const shown = () => [...document.querySelector(".view").querySelectorAll("img")]
          .filter(i => !i.hidden).map(i => i.dataset.layer).sort().join("+");
        const before = shown();
        const set = (id, value) => { find(id).value = value; find(id).dispatchEvent(new Event("input")); };
        set("left", "spline"); set("cut", 20);
        const box = document.querySelector(".overlay[value=consistency]");
        box.checked = true; box.dispatchEvent(new Event("input"));
        const right = document.querySelector("img[data-layer=result]");
        const clip = getComputedStyle(right).clipPath, loaded = [...document.images].every(i => i.naturalWidth > 0);
        document.title = [before, shown(), clip, loaded].join(" | ");
        """,
    )
    assert page_title(dom) == "outline+result+scan | consistency+outline+result+spline | inset(0px 0px 0px 20%) | true"
