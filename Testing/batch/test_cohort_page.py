"""The page of a cohort."""

import re
from pathlib import Path

import numpy as np
import pytest
from support.batch_cohort import save_tiny_model
from support.browser import page_title

from SegSRGANLib.batch.cohort_page import write_cohort_report
from SegSRGANLib.batch.jobs import Job
from SegSRGANLib.batch.outliers import outliers_of
from SegSRGANLib.batch.worker import BatchOptions
from SegSRGANLib.data.grid import Grid
from SegSRGANLib.inference.enhancement import Enhancement
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.utils.process_pool import Outcome
from SegSRGANLib.visualization.qc_picture import draw_enhancement

pytest.importorskip("jinja2", reason="needs the extra report")


def _outcome(name, status, psnr, warnings=(), reason="", verdict=""):
    quality = {"consistency": {"psnr": psnr, "z_max": 3.0, "slice_z_max": 1.0}, "cortex": {"volume_ml": 90 + psnr}}
    record = {"quality": quality, "warnings": list(warnings), "seconds": {"total": 1.0}} if status != "failed" else {}
    if verdict:
        record["verdict"] = {
            "word": verdict,
            "reasons": ["Because."],
            "predicted_dice": {"value": 0.8, "low": 0.7, "high": 0.9},
        }
    return Outcome(Job(Path("/scans") / f"{name}.nii.gz", name), status, reason, record=record)


def test_cohort_page_has_the_worst_first_and_sorts(tmp_path, browse):
    outcomes = [
        _outcome("fine", "done", 31.0),
        _outcome("doubtful", "skipped", 9.5, ["Look at it."]),
        _outcome("poor", "done", 21.0),
        _outcome("broken", "failed", 0, reason="<b>empty</b>"),
    ]
    options = BatchOptions(tmp_path, str(save_tiny_model(tmp_path / "m.safetensors")), EnhanceOptions())
    (tmp_path / "poor_report.html").write_text("x")
    write_cohort_report(outcomes, options, tmp_path / "summary.html", "Cohort")
    text = (tmp_path / "summary.html").read_text()
    assert "&lt;b&gt;empty" in text and re.findall(r'href="([^"]+)"', text) == ["poor_report.html"]
    dom = browse(
        tmp_path / "summary.html",
        """
        const names = () =>
          [...document.querySelectorAll("tbody tr")].map(r => r.cells[1].textContent.trim()).join(" ");
        const first = names();
        const head = [...document.querySelectorAll("th")].find(h => h.textContent.trim() === "agreement, dB");
        head.click(); const up = names(); head.click();
        document.title = [first, up, names(), document.querySelectorAll("circle").length].join(" | ");
        """,
    )
    assert page_title(dom) == (
        "broken doubtful poor fine | doubtful poor fine broken | fine poor doubtful broken | 9"
    )  # three plots of three volumes; what is missing stays at the end


def _page(outcomes, folder):
    options = BatchOptions(folder, str(save_tiny_model(folder / "m.safetensors")), EnhanceOptions())
    write_cohort_report(outcomes, options, folder / "summary.html", "Cohort")
    return (folder / "summary.html").read_text()


def test_cohort_page_shows_the_verdicts_worst_first_in_words(tmp_path):
    outcomes = [
        _outcome("good", "done", 31.0, verdict="usable"),
        _outcome("unjudged", "done", 31.0),
        _outcome("bad", "done", 31.0, verdict="do not use"),
        _outcome("odd", "done", 31.0, verdict="look closely"),
    ]
    text = _page(outcomes, tmp_path)
    assert re.findall(r'class="name" data-value="(\w+)"', text) == ["bad", "odd", "unjudged", "good"]
    assert "4 volumes: 1 usable, 1 no verdict, 1 do not use, 1 look closely" in text
    assert "Dice 0.80 (0.70 to 0.90)" in text
    shown = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", text, flags=re.DOTALL)
    assert not re.findall(r"[a-z]+_[a-z]+", shown)  # no raw keys


def test_cohort_page_marks_what_stands_apart_and_names_it_without_a_mouse(tmp_path):
    outcomes = [_outcome(f"sub-{k}", "done", 31.0 + 0.1 * k) for k in range(6)]
    outcomes[3] = _outcome("strange", "done", 12.0)
    text = _page(outcomes, tmp_path)
    assert text.count("◆ 12<") == 1 and text.count("◆ 102<") == 1  # its agreement and its volume, of no other volume
    assert text.count("◆") == 3  # once in the explanation
    assert "Apart from the others: strange (12 dB)" in text and "No volume stands apart." in text
    for column in ("31.5 dB, sub-5", "12 dB, strange"):
        assert column in text  # names of the ends of a plot


def test_cohort_page_has_the_small_pictures(tmp_path):
    grid = Grid((12, 12, 12), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), tuple(np.eye(3).ravel()))
    image = grid.image(np.random.default_rng(0).random(grid.shape).astype(np.float32))
    draw_enhancement(image, Enhancement(image, {}, None, {}), tmp_path / "seen_qc.png", "seen")
    text = _page([_outcome("seen", "done", 31.0), _outcome("unseen", "done", 31.0)], tmp_path)
    assert text.count("data:image/jpeg;base64,") == 1 and 'href="seen_qc.png"' in text
    assert not re.findall(r"""<(?:script|link)[^>]+(?:src|href)=""", text)


@pytest.mark.parametrize(
    "values, trifle, sides, expected",
    [
        ([1, 1.1, 0.9, 1, 5], 0, 0, {4}),
        ([1, 1.1, 0.9, 1, 5], 0, -1, set()),
        ([5, 5.1, 4.9, 5, 1], 0, -1, {4}),
        ([1, 1, 1, 1, 1.09], 0.5, 0, set()),  # no alarm over a trifle
        ([1, 1, None, 1, 5], 0, 0, set()),  # four values do not say what is usual
        ([1, 1, None, 1, 1, 5], 0, 0, {5}),
    ],
)
def test_outliers(values, trifle, sides, expected):
    assert outliers_of(values, trifle, sides) == expected
