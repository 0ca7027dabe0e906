"""Several stacks of one child through `enhance`: one volume, one record, and one scan as it always was."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from support.stacked_children import SIDE, Taken, child, rigid, stack

from SegSRGANLib import Enhancement, EnhanceOptions, enhance
from SegSRGANLib.data.grid import Grid, output_grid
from SegSRGANLib.inference.network_parts import intensity_model, segmentation_model
from SegSRGANLib.inference.predictor import PredictionOptions, predict_volume
from SegSRGANLib.inference.several import estimate as several_estimate
from SegSRGANLib.inference.several.estimate import check_stacks_fit, estimate_stacks
from SegSRGANLib.inference.several.quality import irregular_slices
from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import Model
from SegSRGANLib.networks.cascade import Cascade, CascadeConfig
from SegSRGANLib.networks.srrecnn import SRReCNN, SRReCNNConfig
from SegSRGANLib.stacks.alignment import AlignedStack
from SegSRGANLib.stacks.rigid import matrix_of, rotation_degrees
from SegSRGANLib.stacks.scan import Scan
from SegSRGANLib.utils.errors import Cancelled

BRAIN = child(5)
TRUTH, INSIDE = (sitk.GetArrayFromImage(image) for image in BRAIN)
OPTIONS = EnhanceOptions(spacing=1.0, prediction=PredictionOptions(patch=64, device="cpu"))
MOVED = SIDE // 6 + 4  # a slice
MOTION = rigid((6, -5, 4), (3, -2, 4))


def _cascade() -> Model:
    """A cascade that leaves intensities as they are; its cortex is arbitrary."""
    torch.manual_seed(0)
    network = Cascade(CascadeConfig(filters=4, blocks=1, levels=2)).eval()
    torch.nn.init.zeros_(network.output.weight)
    return Model(network, ModelCard())


@pytest.fixture(scope="module")
def stacks() -> tuple[list[sitk.Image], list[sitk.Image]]:
    first, second = stack(BRAIN, Taken(1)), stack(BRAIN, Taken(2, MOTION))
    return [first[0], second[0] * 3], [first[1], second[1]]


@pytest.fixture(scope="module")
def told() -> list[tuple[float, str]]:
    return []


@pytest.fixture(scope="module")
def fused(stacks: Any, told: list[tuple[float, str]]) -> Enhancement:
    return enhance(stacks[0], _cascade(), OPTIONS, mask=stacks[1], progress=lambda *step: told.append(step))


def _error(image: sitk.Image) -> float:
    array = sitk.GetArrayFromImage(image)
    shape = tuple(min(a, b) for a, b in zip(array.shape, TRUTH.shape, strict=True))
    part = tuple(slice(0, n) for n in shape)
    return float(np.sqrt(np.mean((array[part] - TRUTH[part])[INSIDE[part] > 0] ** 2)))


def test_one_volume_in_a_list_is_bit_for_bit_the_volume(stacks: Any) -> None:
    (image, _), (mask, _) = stacks
    alone = enhance(image, _cascade(), OPTIONS, mask=mask)
    listed = enhance([image], _cascade(), OPTIONS, mask=[mask])
    for first, second in (
        (alone.sr, listed.sr),
        (alone.probability, listed.probability),
        (alone.labels, listed.labels),
    ):
        assert Grid.of(first) == Grid.of(second)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(first), sitk.GetArrayFromImage(second))
    assert "stacks" not in listed.record


def test_two_stacks_are_nearer_to_the_truth_than_one(stacks: Any, fused: Enhancement) -> None:
    alone = enhance(stacks[0][0], _cascade(), OPTIONS, mask=stacks[1][0])
    assert _error(fused.sr) < 0.85 * _error(alone.sr)
    output = output_grid(Grid.of(stacks[0][0]), 1.0)
    assert all(Grid.of(image) == output for image in (fused.sr, fused.labels, fused.probability))
    assert np.isfinite(sitk.GetArrayFromImage(fused.sr)).all()


def test_the_record_says_what_was_done_with_each_stack(fused: Enhancement) -> None:
    first, second = json.loads(json.dumps(fused.record))["stacks"]
    assert [first["name"], second["name"]] == ["stack 1", "stack 2"]
    assert "registration" not in first
    assert second["registration"]["rotated_degrees"] == pytest.approx(rotation_degrees(matrix_of(MOTION)), abs=0.7)
    assert second["registration"]["overlap"] > 0.9
    assert second["intensity_factor"] == pytest.approx(1 / 3, rel=0.15)
    assert first["slices"] == second["slices"] == SIDE // 3
    assert first["slices_left_out"] == second["slices_left_out"] == []
    agreement = second["consistency"]
    assert agreement["psnr"] > agreement["psnr_of_first_alone"] + 3
    assert first["sha256"] == fused.record["input"]["sha256"] != second["sha256"]
    assert second["grid"]["size"] == [SIDE, SIDE, SIDE // 3]
    assert set(fused.record["seconds"]) >= {"registration", "prediction", "fusion", "segmentation", "quality", "total"}
    assert {"consistency", "consistency-2"} <= set(fused.maps)


def test_progress_rises_and_names_the_stacks(told: list[tuple[float, str]], fused: Enhancement) -> None:
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[0] >= 0
    assert fractions[-1] == 1.0
    words = " ".join(message for _, message in told)
    for part in ("Registering stack 2", "Stack 1: Super-resolving", "Fusing the stacks", "Measuring the quality"):
        assert part in words


def test_a_run_stops_when_asked(stacks: Any) -> None:
    seen: list[str] = []
    with pytest.raises(Cancelled):
        enhance(
            stacks[0],
            _cascade(),
            OPTIONS,
            mask=stacks[1],
            progress=lambda _, message: seen.append(message),
            should_stop=lambda: bool(seen),
        )
    assert not any("Super-resolving" in message for message in seen)


@pytest.mark.slow
def test_the_first_mask_serves_all_stacks_and_slices_that_moved_are_named(stacks: Any) -> None:
    late = sitk.GetArrayFromImage(stack(BRAIN, Taken(2, rigid((-6, 7, 2), (-2, 5, 1))))[0]) * 3
    array = sitk.GetArrayFromImage(stacks[0][1])
    array[MOVED] = late[MOVED]
    images = [stacks[0][0], Grid.of(stacks[0][1]).image(array)]
    model = Model(SRReCNN(SRReCNNConfig(layers=2, filters=2)).eval(), ModelCard())  # does not segment
    result = enhance(images, model, OPTIONS, mask=stacks[1][0])
    assert result.record["stacks"][1]["slices_left_out"] == [MOVED]
    sentence = f"Stack 2: slice {MOVED + 1} does not agree with the other stacks"
    assert any(sentence in text for text in result.record["warnings"])
    assert result.labels is None
    assert not result.probabilities


def test_slices_beside_their_neighbours_are_named_once(stacks: Any) -> None:
    aligned = [AlignedStack(Scan.of(image, mask, f"stack {number}"), np.eye(4), 0.0, np.ones(SIDE // 3))
               for number, image, mask in zip((1, 2), *stacks, strict=True)]  # fmt: skip
    few = {"z": 2.0, "slice": 3, "slices": [], "share": 0.0}
    many = {"z": 4.0, "slice": 3, "slices": [3, 8], "share": 0.2}
    (sentence,) = irregular_slices(aligned, [few, many])
    assert sentence.startswith("Stack 2: slices 4, 9 do not fit the neighbouring slices")
    weights = np.ones(SIDE // 3)
    weights[[3, 8]] = 0  # left out, and named for that
    assert irregular_slices([aligned[0], replace(aligned[1], weights=weights)], [None, many]) == []


@pytest.mark.parametrize("count", [2, 3])
def test_the_estimate_of_several_stacks_names_their_steps(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = Grid((SIDE, SIDE, SIDE // 3), (1.0, 1.0, 3.0), (0.0,) * 3, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    one, several = (estimate_stacks([grid] * n, _cascade(), ["none"], OPTIONS) for n in (1, count))
    assert list(several.seconds) == ["registration", "prediction", "fusion", "segmentation", "quality"]
    assert sum(several.seconds.values()) > sum(one.seconds.values())
    assert several.memory > one.memory
    monkeypatch.setattr(several_estimate, "available_memory", lambda device: 1000)
    with pytest.raises(ValueError, match=f"{count} stacks at 1 mm need .* free; choose a coarser output spacing"):
        check_stacks_fit([grid] * count, output_grid(grid, 1.0))


@pytest.mark.parametrize(
    ("count", "masks", "words"),
    [
        (0, None, "0 volumes"),
        (17, None, "At most 16"),
        (2, 3, "2 stacks but 3 masks"),
        (1, 2, "One volume has one mask"),
    ],
)
def test_wrong_numbers_are_one_sentence(stacks: Any, count: int, masks: int | None, words: str) -> None:
    given = None if masks is None else [stacks[1][0]] * masks
    with pytest.raises(ValueError, match=words):
        enhance([stacks[0][0]] * count, _cascade(), OPTIONS, mask=given)


def test_the_halves_of_a_cascade_are_the_whole() -> None:
    model, x = _cascade(), torch.rand(1, 1, 16, 16, 16)
    torch.nn.init.normal_(model.network.output.weight, std=0.1)
    with torch.inference_mode():
        whole = model.network(x)
        sharp = intensity_model(model).network(x)
        parts = segmentation_model(model).network(sharp)
    assert not torch.equal(sharp, x)
    assert torch.equal(parts, whole)
    assert intensity_model(model).classes == ()
    assert segmentation_model(model).classes == model.classes


@pytest.mark.parametrize("patch", [0, 32])
def test_the_halves_run_as_fast_as_the_whole_and_give_its_numbers(patch: int) -> None:
    model, volume = _cascade(), torch.rand(32, 48, 32)
    torch.nn.init.normal_(model.network.output.weight, std=0.1)
    options, how = PredictionOptions(patch=patch, device="cpu", precision="float32"), {}
    whole = predict_volume(model.network, volume, options)
    sharp = predict_volume(intensity_model(model).network, volume, options, record=how)
    assert how["patches"] == 1  # no voxel twice, whatever the patch
    assert torch.equal(sharp, whole[:1])
    assert torch.equal(predict_volume(segmentation_model(model).network, sharp[0], options), whole)
