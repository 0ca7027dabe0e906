"""The page of a cohort."""

import re
from pathlib import Path

import pytest
from support.batch_cohort import save_tiny_model
from support.browser import page_title

from SegSRGANLib.batch.cohort_page import write_cohort_report
from SegSRGANLib.batch.jobs import Job
from SegSRGANLib.batch.worker import BatchOptions
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.utils.process_pool import Outcome

pytest.importorskip("jinja2", reason="needs the extra report")


def _outcome(name, status, psnr, warnings=(), reason=""):
    quality = {"consistency": {"psnr": psnr, "z_max": 3.0, "slice_z_max": 1.0}, "cortex": {"volume_ml": 90 + psnr}}
    record = {"quality": quality, "warnings": list(warnings), "seconds": {"total": 1.0}} if status != "failed" else {}
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
          [...document.querySelectorAll("tbody tr")].map(r => r.cells[0].textContent.trim()).join(" ");
        const first = names();
        const head = [...document.querySelectorAll("th")].find(h => h.textContent.trim() === "consistency_db");
        head.click(); const up = names(); head.click();
        document.title = [first, up, names(), document.querySelectorAll("circle").length].join(" | ");
        """,
    )
    assert page_title(dom) == (
        "broken doubtful poor fine | doubtful poor fine broken | fine poor doubtful broken | 9"
    )  # three plots of three volumes; what is missing stays at the end
