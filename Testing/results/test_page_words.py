"""What the page of a result says: verdict, places, figures, methods; in words, without alarm over trifles."""

import html
import re

import numpy as np
import pytest
from support.grids import blob

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.inference.enhancement import Enhancement
from SegSRGANLib.results.html_page import write_subject_report
from SegSRGANLib.results.methods_text import methods_of
from SegSRGANLib.results.page_facts import missing_checks, numbers_of, origin_of, training_of
from SegSRGANLib.results.worst_places import find_places, peaks

pytest.importorskip("jinja2", reason="needs the extra report")
pytest.importorskip("PIL.Image", reason="needs the extra report")

GRID = Grid((30, 28, 26), (1.0, 1.0, 1.0), (-15.0, -14.0, -13.0), tuple(np.eye(3).ravel()))


def _record(**more):
    record = {
        "notice": "Research use only.",
        "software": {"segsrgan": "1.2.3", "torch": "2.9", "SimpleITK": "2.5"},
        "device": "cpu (2 threads)",
        "date": "2026-11-28T02:40:00+00:00",
        "input": {"grid": {"size": [30, 28, 10], "spacing": [1.0, 1.0, 2.6]}, "file": "a.nii.gz"},
        "output": {"size": [30, 28, 26], "spacing": [1.0, 1.0, 1.0]},
        "model": {"name": "m", "title": "Model", "sha256": "f" * 64, "training_data": "12 atlases.", "citation": ""},
        "warnings": [],
        "seconds": {"total": 12.3},
        "options": {"interpolator": "bspline", "consistency": True, "threshold": 0.5, "uncertainty": 0},
        "mask": {"source": "found", "volume_ml": 321.4, "checks": {}},
        "classes": ["cortex"],
        "quality": {
            "consistency": {"psnr": 40.0, "z_max": 0.09, "z_max_position_lps": [0, 0, 0], "slice_z_max": 1.0},
            "cortex": {"volume_ml": 20.5, "components": 1, "largest_component": 1.0},
            "domain": {"contrast": {"value": 0.2, "training": [0.0, 0.5], "outside": 0.0}},
        },
    }
    return record | more


def _result(z_value=0.09, **more):
    image = blob(GRID, 5.0)
    z = np.zeros(GRID.shape, np.float32)
    z[20, 10, 8] = z_value
    labels = image > 0.5
    maps = {"consistency": GRID.image(z)}
    return image, Enhancement(image, {"cortex": image}, labels, _record(**more), None, maps, image > 0.1)


def _page(tmp_path, *arguments, **more):
    image, result = _result(*arguments, **more)
    write_subject_report(result, image, tmp_path / "page.html", "sub-01")
    text = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", (tmp_path / "page.html").read_text(), flags=re.DOTALL)
    return " ".join(html.unescape(text).split())


def test_the_verdict_comes_first_with_its_reasons(tmp_path):
    verdict = {"word": "look closely", "reasons": ["The brain is cut."], "predicted_dice": [0.8, 0.7, 0.9]}
    text = _page(tmp_path, verdict=verdict, warnings=["The brain is cut.", "Slices are thick."])
    assert text.index("Look closely expected Dice 0.80 (0.70 to 0.90)") < text.index("What to look at")
    assert text.count("The brain is cut.") == 1 and text.count("Slices are thick.") == 1


def test_without_a_verdict_the_page_praises_nothing(tmp_path):
    text = _page(tmp_path)
    assert "No verdict" in text and "usable" not in text.lower() and "beyond its limit" not in text


def test_no_alarm_over_a_trifle_and_no_raw_keys(tmp_path):
    text = _page(tmp_path, 0.09)
    assert "Nowhere does the result differ from the scan by more than 3 times the usual difference" in text
    assert not re.findall(r"\b[a-z0-9]+_[a-z0-9_]+\b", text)


def test_what_differs_is_shown_with_its_place(tmp_path):
    text = _page(tmp_path, -11.0)
    # voxel (8, 10, 20) lies at (-7, -4, 7) LPS
    assert "7 mm right, 4 mm anterior, 7 mm superior of the origin: darker than the scan, 11.0 times" in text
    assert (tmp_path / "page.html").read_text().count('class="place"') == 1


def test_peaks_are_apart_and_sorted():
    values = np.zeros(GRID.shape, np.float32)
    values[5, 5, 5], values[5, 5, 7], values[20, 20, 20], values[12, 12, 25] = 9, 8, -10, 2
    found = peaks(GRID.image(values), 3.0)
    assert [value for value, _ in found] == [-10, 9]
    assert found[0][1] == pytest.approx((5, 6, 7))


def test_unsure_neighbourhoods_are_found_and_single_voxels_are_not():
    _, result = _result()
    entropy = np.zeros(GRID.shape, np.float32)
    entropy[2, 2, 2] = 1.0
    result.maps["cortex-entropy"] = GRID.image(entropy)
    assert find_places(result) == []
    entropy[8:20, 8:20, 8:20] = 1.0
    result.maps["cortex-entropy"] = GRID.image(entropy)
    assert find_places(result)[0].title == "the segmentation is unsure"


def test_missing_checks_are_named():
    assert missing_checks(_record()) == ["How sure the model is was not measured (option: uncertainty)."]
    bare = _record(mask={"source": "none", "volume_ml": None})
    bare["quality"] = {"consistency": {}, "uncertainty": {}}
    assert [text.split()[0] for text in missing_checks(bare)] == ["No", "Size,"]


def test_figures_have_words_and_units():
    record = _record()
    assert ("volume of the cortex, mL", "20.5") in numbers_of(record)
    biased = numbers_of(record | {"verdict": {"volume_bias_percent": [-12.3, 8.0]}})
    assert ("usual error of this volume on sources left out of the training, %", "-12 to +8") in biased
    assert training_of(record) == [("asymmetry of the brain's intensities", "0.2", "0 to 0.5")]
    origin = dict(origin_of(record))
    assert origin["brain mask"] == "found by the program, 321 mL"
    assert origin["computed"] == "2026-11-28 02:40 UTC, in 12 s, on cpu (2 threads)"


def test_methods_cite_what_was_used_and_nothing_else():
    plain = methods_of(_record())
    assert "from voxels" not in plain.text and "voxels of 1 x 1 x 2.6 mm" in plain.text
    assert not any("N4ITK" in reference for reference in plain.references)
    options = _record()["options"] | {"bias_correction": True, "uncertainty": 4}
    full = methods_of(_record(options=options))
    number = next(k for k, reference in enumerate(full.references, start=1) if "N4ITK" in reference)
    assert f"N4 [{number}]" in full.text and "over 4 predictions" in full.text
    for methods in (plain, full):
        cited = {int(n) for group in re.findall(r"\[([\d, ]+)\]", methods.text) for n in group.split(", ")}
        assert cited == set(range(1, len(methods.references) + 1))


def test_methods_of_an_older_record():
    record = _record()
    for key in ("output", "mask", "classes"):
        del record[key]
    record["model"] = {"name": "m", "title": "Model", "sha256": "f" * 64}
    assert "voxels of 1 x 1 x 2.6 mm was super-resolved with SegSRGAN 1.2.3 [1, 2]" in methods_of(record).text


def test_methods_of_several_stacks_name_them_all():
    grids = [{"spacing": [1.0, 1.0, 2.6]}, {"spacing": [0.9, 3.0, 0.9]}, {"spacing": [1.0, 1.0, 2.6]}]
    stacks = [
        {"grid": grid, "slices_left_out": left_out} for grid, left_out in zip(grids, ([], [4, 7], []), strict=True)
    ]
    text = methods_of(_record(stacks=stacks)).text
    assert text.startswith("3 T2-weighted stacks of one child, with voxels of 1 x 1 x 2.6 and 0.9 x 3 x 0.9 mm, were")
    assert "hardly counted (2)" in text and "agreement with all stacks at once" in text
    assert "A T2-weighted volume" not in text and "The scan" not in text
