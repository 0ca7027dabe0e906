"""Classes that fill the brain are refined by the intensities; others stay as the network made them."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from SegSRGANLib import EnhanceOptions, enhance
from SegSRGANLib.data.classes import label_map
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.inference.refinement import as_refined
from SegSRGANLib.metrics.segmentation import dice
from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import Model
from SegSRGANLib.quality.uncertainty import PredictiveVariance
from SegSRGANLib.transforms.normalization import Normalization
from SegSRGANLib.utils.errors import Cancelled

NAMES = ("cortex", "white matter", "outer CSF")
LEVELS = (0.3, 0.6, 1.0)  # intensity of each class
OPTIONS = EnhanceOptions(spacing=1.0, prediction=PredictionOptions(patch=0, device="cpu", precision="float32"))


class Blurred(torch.nn.Module):
    """Intensity unchanged; a class is as probable as intensities near its level are frequent around."""

    multiple, minimum, segments = 4, 8, True

    def __init__(self, levels=LEVELS):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.levels = levels

    def forward(self, x):
        near = torch.cat([torch.exp(-(((x - level) / 0.1) ** 2)) for level in (0.0, *LEVELS)], 1)
        likely = torch.nn.functional.avg_pool3d(near / near.sum(1, keepdim=True), 5, stride=1, padding=2)
        return torch.cat([x, *(likely[:, [1 + LEVELS.index(level)]] for level in self.levels)], 1)


def _model(count=3):
    levels, names = LEVELS[:count], NAMES[:count]
    return Model(Blurred(levels), ModelCard(normalization=Normalization("maximum"), classes=names))


@pytest.fixture(scope="module")
def brain():
    """Scan, mask and true labels: a core of white matter in a shell of cortex in fluid."""
    z, y, x = np.indices((28, 32, 36)) - np.array([13, 16, 18]).reshape(3, 1, 1, 1)
    radius = np.sqrt(z**2 + y**2 + x**2)
    truth = np.select([radius < 6, radius < 9, radius < 12], [2, 1, 3]).astype(np.uint8)
    values = np.select([truth == k for k in (1, 2, 3)], LEVELS)
    values = 800 * (values + np.random.default_rng(0).normal(0, 0.03, values.shape) * (truth > 0))
    return (
        sitk.GetImageFromArray(values.astype(np.float32)),
        sitk.GetImageFromArray((truth > 0).astype(np.uint8)),
        truth,
    )


def _labels(result):
    return sitk.GetArrayFromImage(result.labels)


def _probabilities(result):
    return np.stack([sitk.GetArrayFromImage(image) for image in result.probabilities.values()])


def test_refined_borders_are_nearer_to_the_truth(brain):
    scan, mask, truth = brain
    refined = enhance(scan, _model(), OPTIONS, mask=mask)
    plain = enhance(scan, _model(), replace(OPTIONS, refinement=False), mask=mask)
    assert refined.record["refinement"]["applied"] and refined.record["refinement"]["filled"] > 0.8
    assert plain.record["refinement"] == {"applied": False, "filled": None}
    for number in (1, 2):
        before, after = (dice(truth == number, _labels(result) == number) for result in (plain, refined))
        assert after > 0.98 > before + 0.05
    np.testing.assert_array_equal(sitk.GetArrayFromImage(refined.sr), sitk.GetArrayFromImage(plain.sr))


def test_probabilities_and_labels_belong_together(brain):
    scan, mask, _ = brain
    result = enhance(scan, _model(), replace(OPTIONS, threshold=0.6), mask=mask)
    likely = _probabilities(result)
    np.testing.assert_array_equal(_labels(result), label_map(likely, 0.6))
    assert likely.min() >= 0 and likely.sum(0).max() <= 1 + 1e-5
    assert not likely[:, sitk.GetArrayFromImage(mask) == 0].any()
    assert all(image.GetOrigin() == result.sr.GetOrigin() for image in (*result.probabilities.values(), result.labels))


def test_without_a_mask_all_but_the_air_is_refined(brain):
    scan, _, truth = brain
    result = enhance(scan, _model(), OPTIONS)
    assert result.record["refinement"]["applied"]
    assert dice(truth == 1, _labels(result) == 1) > 0.95


@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_the_unit_of_the_scan_does_not_matter(brain, factor):
    scan, mask, _ = brain
    expected = enhance(scan, _model(), OPTIONS, mask=mask)
    result = enhance(scan * factor, _model(), OPTIONS, mask=mask)
    assert (_labels(result) != _labels(expected)).mean() < 1e-3


@pytest.mark.parametrize("count", [1, 2])
def test_classes_that_leave_out_a_part_of_the_brain_stay(brain, count):
    scan, mask, _ = brain
    results = [
        enhance(scan, _model(count), replace(OPTIONS, refinement=refinement), mask=mask) for refinement in (True, False)
    ]
    assert not results[0].record["refinement"]["applied"]
    np.testing.assert_array_equal(*(_labels(result) for result in results))


def test_three_classes_of_a_part_of_the_brain_stay(brain):
    scan, mask, _ = brain
    around = sitk.BinaryDilate(mask, (6, 6, 6))  # as of a mask that holds the skull too
    result = enhance(scan, _model(), OPTIONS, mask=around)
    assert result.record["refinement"]["applied"] is False
    assert 0.2 < result.record["refinement"]["filled"] < 0.8
    plain = enhance(scan, _model(), replace(OPTIONS, refinement=False), mask=around)
    np.testing.assert_array_equal(_labels(result), _labels(plain))


def test_the_original_s_way_is_not_refined(brain):
    scan, mask, _ = brain
    result = enhance(scan, _model(), replace(OPTIONS, as_original=True), mask=mask)
    assert result.record["refinement"] == {"applied": False, "filled": None}


def test_it_can_be_cancelled(brain):
    scan, mask, _ = brain
    seen = []
    with pytest.raises(Cancelled):
        enhance(
            scan,
            _model(),
            OPTIONS,
            mask=mask,
            progress=lambda _, message: seen.append(message),
            should_stop=lambda: "Refining the borders of the tissues" in seen,
        )
    assert seen[-1] == "Refining the borders of the tissues"


def test_volumes_of_runs_follow_the_refinement(brain):
    scan, mask, truth = brain
    result = enhance(scan, _model(), replace(OPTIONS, uncertainty=3), mask=mask)
    low, high = result.record["quality"]["uncertainty"]["volume_interval_ml"]
    assert low <= np.count_nonzero(_labels(result) == 1) / 1000 * 1.02 and high >= low
    assert result.record["quality"]["uncertainty"]["volume_ml"] == pytest.approx(np.sum(truth == 1) / 1000, rel=0.1)


def test_runs_of_an_empty_class_stay():
    variance = PredictiveVariance(np.zeros((1, 1, 1), np.float32), None, [0, 0])
    empty, one = (sitk.GetImageFromArray(np.full((1, 1, 1), value, np.uint8)) for value in (0, 1))
    assert as_refined(variance, empty, one).cortex_voxels == [0, 0]
    assert as_refined(None, empty, one) is None
