"""The spread over mirrored and shifted runs."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from support.grids import awkward_grids, blob

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.inference.augmented_prediction import MOST_RUNS, augmentation_of, predict_augmented
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.inference.pipeline import enhance
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import Model
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig
from SegSRGANLib.quality.uncertainty import describe_variance
from SegSRGANLib.results.files import save_enhancement

GRIDS = awkward_grids()
PREDICTION = PredictionOptions(patch=0, device="cpu")


def test_augmentations_are_all_different():
    assert len({augmentation_of(run) for run in range(MOST_RUNS)}) == MOST_RUNS
    assert augmentation_of(0) == ((), (0, 0, 0))


def _network(steer):
    """Intensity times a position-dependent factor: its answer depends on how the volume lies."""

    def predict(volume, run):
        ramp = 1 + steer * torch.arange(volume.shape[2]) / volume.shape[2]
        intensity = volume * ramp
        return torch.stack([intensity, (intensity > 0.5).float()])

    return predict


def test_what_does_not_depend_on_the_place_has_no_spread():
    volume = torch.rand(9, 10, 11, generator=torch.Generator().manual_seed(0))
    first, spread = predict_augmented(_network(0.0), volume, 16, 0.5)
    assert torch.equal(first[0], volume)
    assert spread.deviation.max() < 1e-6 and spread.entropy.max() < 1e-4
    assert set(spread.cortex_voxels) == {int((volume >= 0.5).sum())}


def test_spread_is_the_standard_deviation_of_the_answers():
    volume = torch.rand(6, 7, 8, generator=torch.Generator().manual_seed(0))
    answers = []
    predict = _network(0.3)

    def kept(copy, run):
        answers.append((predict(copy, run), augmentation_of(run)))
        return answers[-1][0]

    _, spread = predict_augmented(kept, volume, 8, 0.5)
    back = []
    for answer, (flipped, (z, y, x)) in answers:
        array = answer[0].numpy()[z:, y:, x:]
        for axis in flipped:
            array = np.flip(array, axis)
        back.append(array)
    assert np.allclose(spread.deviation, np.std(back, axis=0, ddof=1), atol=1e-5)
    low, high = describe_variance(spread, np.ones((6, 7, 8)), 0.001, 1.0)["volume_interval_ml"]
    counts = np.array(spread.cortex_voxels) / 1000
    assert (low + high) / 2 == pytest.approx(counts.mean(), abs=1e-3) and high - low > counts.std()


def test_asking_for_uncertainty_does_not_change_the_result(tmp_path):
    torch.manual_seed(0)
    model = Model(Generator(GeneratorConfig(2, 1)).eval(), ModelCard())
    grid = GRIDS["oblique"]
    scan = blob(grid, 4.0) * 100 + 1
    mask = grid.image((sitk.GetArrayFromImage(scan) > 20).astype(np.uint8))
    plain = enhance(scan, model, EnhanceOptions(0.9, prediction=PREDICTION), mask=mask)
    asked = enhance(scan, model, EnhanceOptions(0.9, prediction=PREDICTION, uncertainty=4), mask=mask)
    assert all(
        np.array_equal(*(sitk.GetArrayFromImage(getattr(r, name)) for r in (plain, asked)))
        for name in ("sr", "probability", "labels")
    )
    cortex, voxel = asked.record["quality"]["cortex"], 0.9**3 / 1000
    assert cortex["volume_ml"] == pytest.approx(sitk.GetArrayFromImage(asked.labels).sum() * voxel, abs=1e-3)
    assert cortex["expected_volume_ml"] == pytest.approx(
        sitk.GetArrayFromImage(asked.probability).sum() * voxel, abs=1e-3
    )
    figures = asked.record["quality"]["uncertainty"]
    assert figures["runs"] == 4 and figures["deviation_percent"] > 0 and 0 <= figures["entropy_bits"] <= 1
    json.dumps(asked.record, allow_nan=False)
    deviation = sitk.GetArrayFromImage(asked.maps["sr-deviation"])
    assert Grid.of(asked.maps["sr-deviation"]) == Grid.of(asked.sr) and deviation.max() > 0
    assert "uncertainty" not in plain.record["quality"] and set(plain.maps) == {"consistency"}
    paths = save_enhancement(asked, scan, tmp_path, "a", maps=True)
    assert {"consistency", "sr-deviation", "cortex-entropy"} < set(paths) and all(p.is_file() for p in paths.values())
    assert len(save_enhancement(asked, scan, tmp_path / "few", "a")) == 5


@pytest.mark.parametrize("runs", [1, -1, MOST_RUNS + 1])
def test_impossible_numbers_of_runs(runs):
    with pytest.raises(ValueError, match="uncertainty"):
        EnhanceOptions(uncertainty=runs)
