"""The comparison with the training: a scan in range is left in peace, each oddity gets its own warning and no other."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from support import training_brains

from SegSRGANLib.batch.jobs import Job
from SegSRGANLib.batch.tables import summary_row
from SegSRGANLib.data.grid import Grid, output_grid
from SegSRGANLib.datasets.phantom import neonatal_phantom
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.inference.pipeline import enhance
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import Model, load_checkpoint, save_checkpoint
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig
from SegSRGANLib.quality.domain import Brain
from SegSRGANLib.quality.preflight import compare, contrast_warnings, judge, warnings_for
from SegSRGANLib.results.html_page import write_subject_report
from SegSRGANLib.training.config import make_config
from SegSRGANLib.training.data.augmentation import AugmentationConfig
from SegSRGANLib.training.data.coverage import training_domain
from SegSRGANLib.training.data.patch_simulation import SimulationConfig
from SegSRGANLib.training.data.subject import Subject
from SegSRGANLib.training.release import make_card
from SegSRGANLib.transforms.acquisition import acquire
from SegSRGANLib.transforms.resample import resample_labels
from SegSRGANLib.utils.process_pool import DONE, Outcome

SPACING = 1.6  # mm, of the phantoms
SLICES = 3.2


@pytest.fixture(scope="module")
def phantom():
    return neonatal_phantom(SPACING, seed=5)


@pytest.fixture(scope="module")
def subjects() -> list[Subject]:
    found = []
    for seed in (1, 2):
        brain = neonatal_phantom(SPACING, seed)
        labels = sitk.GetArrayFromImage(brain.labels)
        intensity = sitk.GetArrayFromImage(brain.t2w) * (labels > 0)
        found.append(Subject(str(seed), intensity / np.percentile(intensity, 99.5), labels, {"cortex": (5,)}, SPACING))
    return found


@pytest.fixture(scope="module")
def card(subjects) -> ModelCard:
    domain = training_domain(subjects, SimulationConfig(), seed=0)
    return ModelCard(training_spacing=(1.0, 3.0), training_slices=(1.0, 6.5), domain=domain)


@pytest.fixture(scope="module")
def scan(phantom) -> tuple[sitk.Image, sitk.Image]:
    return _acquired(phantom, SLICES)


def _acquired(phantom, slices: float) -> tuple[sitk.Image, sitk.Image]:
    image = acquire(phantom.t2w, (SPACING, SPACING, slices))
    return image, resample_labels(phantom.mask, Grid.of(image))


def _warned(image, mask, card, spacing: float = SPACING) -> set[str]:
    items = compare(image, mask, output_grid(Grid.of(image), spacing), card)
    return {name for name, item in items.items() if item.warns}


def test_a_scan_like_the_training_is_left_in_peace(scan, card):
    image, mask = scan
    assert _warned(image, mask, card) == set()
    assert _warned(image, None, card) == set()
    figures, warnings = judge(image, mask, output_grid(Grid.of(image), SPACING), card)
    assert warnings == []
    assert set(figures) == {"slices_mm", "spacing_mm", "inplane_factor", "cut", "brain_ml", "shape", "contrast"}
    assert figures["brain_ml"]["value"] == pytest.approx(_millilitres(mask), abs=1e-3)
    assert figures["slices_mm"] == {"value": SLICES, "training": [1.0, 6.5], "outside": 0.0}


def test_inverted_contrast(scan, card):
    """As in a T1-weighted image: fluid dark, white matter between."""
    image, mask = scan
    values, inside = sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(mask) > 0
    dark = np.where(inside, np.percentile(values[inside], 99.9) - values, 0).clip(0).astype(np.float32)
    assert _warned(Grid.of(image).image(dark), mask, card) == {"contrast"}
    figures, (sentence,) = judge(Grid.of(image).image(dark), mask, output_grid(Grid.of(image), SPACING), card)
    assert figures["contrast"]["outside"] == pytest.approx(
        figures["contrast"]["value"] - card.domain.contrast[0], abs=1e-3
    )
    assert "T2-weighted" in sentence


def test_thick_slices(phantom, card):
    image, mask = _acquired(phantom, 9.6)
    assert _warned(image, mask, card) == {"slices_mm"}
    figures, warnings = judge(image, mask, output_grid(Grid.of(image), SPACING), card)
    assert figures["slices_mm"]["outside"] == pytest.approx(3.1)
    assert warnings == ["The slices are 9.6 mm thick; the model was trained on 1 to 6.5 mm."]


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("side", [0, 1])
def test_half_a_brain(scan, card, axis, side):
    image, mask = scan
    half = sitk.GetArrayFromImage(mask)
    places = np.flatnonzero(half.any(axis=tuple({0, 1, 2} - {axis})))
    gone = [slice(None)] * 3
    gone[axis] = slice(0, int(places.mean())) if side else slice(int(places.mean()), None)
    half[tuple(gone)] = 0
    assert _warned(image, Grid.of(image).image(half), card) == {"cut"}


def test_a_head_of_adult_size(scan, card):
    """The same brain with voxels of one and a half times the size, slices still in range."""
    image, mask = (
        replace(Grid.of(volume), spacing=tuple(1.5 * s for s in volume.GetSpacing())).image(
            sitk.GetArrayFromImage(volume)
        )
        for volume in scan
    )
    assert _warned(image, mask, card, spacing=2.4) == {"brain_ml"}
    figures, (sentence,) = judge(image, mask, output_grid(Grid.of(image), 2.4), card)
    assert figures["brain_ml"]["outside"] == pytest.approx(_millilitres(mask) - card.domain.brain_ml[1], abs=0.1)
    assert f"{_millilitres(mask):.0f} mL" in sentence


def test_a_field_of_view_that_ends_in_the_brain(scan, card):
    image, mask = scan
    middle = image.GetSize()[1] // 2
    assert _warned(image[:, middle:], mask[:, middle:], card) == {"cut"}
    assert _warned(image[:, :, : image.GetSize()[2] // 2], None, card) == {"cut"}
    _, (sentence,) = judge(image[:, middle:], mask[:, middle:], output_grid(Grid.of(image[:, middle:]), 1.6), card)
    assert "at the edge of the volume" in sentence


def test_coarse_voxels_inside_the_slices(scan, card):
    image, mask = scan
    assert _warned(image, mask, card, spacing=1.0) == {"inplane_factor"}
    _, (sentence,) = judge(image, mask, output_grid(Grid.of(image), 1.0), card)
    assert "1.6 times" in sentence and "an output spacing of 1.14 mm fits" in sentence


def test_a_brain_that_cannot_be_told_from_its_surroundings_is_not_judged(scan, card):
    """Without a mask, when the air has noise; and by a model whose card does not say enough."""
    image, mask = scan
    noise = np.random.default_rng(0).random(Grid.of(image).shape).astype(np.float32)
    noisy, output = image + Grid.of(image).image(noise), output_grid(Grid.of(image), SPACING)
    assert set(compare(noisy, None, output, card)) == {"slices_mm", "spacing_mm", "inplane_factor"}
    assert "contrast" in compare(noisy, mask, output, card)
    assert set(compare(image, mask, output, replace(card, domain=None))) == {"slices_mm", "spacing_mm"}


def test_the_measures_of_simple_bodies():
    z, y, x = np.indices((40, 60, 60))
    ellipsoid = ((z - 19.5) / 10) ** 2 + ((y - 29.5) / 20) ** 2 + ((x - 29.5) / 20) ** 2 < 1
    values = np.random.default_rng(0).exponential(1.0, ellipsoid.shape)
    brain = Brain.of(values, ellipsoid, (1.0, 1.0, 1.0))
    assert brain.shape == pytest.approx(0.5, abs=0.01) and brain.cut < 0.5 and not brain.at_edge
    assert brain.ml == pytest.approx(4 / 3 * np.pi * 10 * 20 * 20 / 1000, rel=0.01)
    q5, q50, q95 = (-np.log(1 - q) for q in (0.05, 0.5, 0.95))  # quantiles of the exponential distribution
    assert brain.contrast == pytest.approx((q95 + q5 - 2 * q50) / (q95 - q5), abs=0.02)
    assert Brain.of(-values, ellipsoid, (1, 1, 1)).contrast == pytest.approx(-brain.contrast)
    box = Brain.of(values, np.ones(values.shape, bool), (1, 1, 1))
    assert box.cut == pytest.approx(1) and box.at_edge
    for half in (slice(0, 20), slice(20, 40)):
        assert Brain.of(values[half], ellipsoid[half], (1, 1, 1)).at_edge
    stretched = Brain.of(values, ellipsoid, (1.0, 1.0, 2.0))
    assert stretched.shape == pytest.approx(1, abs=0.01) and stretched.ml == pytest.approx(2 * brain.ml)


def test_the_training_says_what_it_covers(subjects, tmp_path):
    training_brains.table(tmp_path)
    config = make_config(training_brains.values(tmp_path, simulation={"patch": 8, "inplane_factor": [1.0, 1.7]}))
    domain = make_card(config, subjects, None).domain
    volumes = [np.count_nonzero(subject.labels) * SPACING**3 / 1000 for subject in subjects]
    assert domain.inplane_factor == (1.0, 1.7)
    assert domain.brain_ml == pytest.approx((min(volumes), max(volumes)), rel=0.02)  # looked at every 3.2 mm
    assert domain.contrast[0] > 0.0
    any_contrast = SimulationConfig(augmentation=AugmentationConfig(synthetic=0.5))
    assert training_domain(subjects, any_contrast, 0).contrast is None


def test_the_card_keeps_it(card, tmp_path):
    network = Generator(GeneratorConfig(2, 1))
    for index, domain in enumerate((card.domain, replace(card.domain, contrast=None), None)):
        save_checkpoint(tmp_path / f"{index}.safetensors", network, replace(card, domain=domain))
        assert load_checkpoint(tmp_path / f"{index}.safetensors").card.domain == domain


def test_it_reaches_record_table_and_report(phantom, card, tmp_path):
    image, mask = _acquired(phantom, 9.6)
    torch.manual_seed(0)
    model = Model(Generator(GeneratorConfig(2, 1)), card)
    options = EnhanceOptions(spacing=2.4, prediction=PredictionOptions(patch=0, device="cpu"))
    result = enhance(image, model, options, mask=mask)
    sentence = "The slices are 9.6 mm thick; the model was trained on 1 to 6.5 mm."
    assert sentence in result.record["warnings"]
    assert result.record["quality"]["domain"]["slices_mm"]["outside"] == pytest.approx(3.1)
    cells = summary_row(Outcome(Job(Path("a.nii"), "a"), DONE, record=json.loads(json.dumps(result.record))))
    assert cells["outside_training"] == "slices_mm +3.1"
    assert summary_row(Outcome(Job(Path("a.nii"), "a"), DONE))["outside_training"] is None
    write_subject_report(result, image, tmp_path / "r.html", "a")
    page = (tmp_path / "r.html").read_text()
    assert sentence in page
    assert re.search(r"thickness of the slices, mm</td><td[^>]*>9\.6</td><td[^>]*>1 to 6\.5<", page)


@pytest.mark.parametrize(
    ("name", "low", "high", "words"),
    [
        ("sub-01_T2w", 0, 900, None),
        ("sub-01_T1w", 0, 900, "The name says T1w"),
        ("PT1000_T2", 0, 900, None),
        ("", -100, 900, "negative values"),
        ("", 5, 5, "same value"),
    ],
)
def test_names_and_values(name, low, high, words):
    found = contrast_warnings(name, low, high)
    assert found == [] if words is None else words in found[0]


def _millilitres(mask: sitk.Image) -> float:
    return float(np.count_nonzero(sitk.GetArrayViewFromImage(mask)) * np.prod(mask.GetSpacing()) / 1000)


@pytest.mark.parametrize("thickness, said", [(0.8, True), (1.2, True), (1.4, False), (3.0, False)])
def test_a_scan_hardly_coarser_than_its_result_has_little_to_gain(thickness, said):
    scan = Grid((90, 90, 60), (0.8, 0.8, thickness), (0.0, 0.0, 0.0), tuple(np.eye(3).ravel()))
    found = warnings_for(scan, output_grid(scan, 0.8), (0.5, 1.0), (0.75, 6.5))
    assert any("interpolation may be nearer to the truth" in sentence for sentence in found) == said
