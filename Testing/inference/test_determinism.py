"""The same scan gives the same bits again with the same threads, and the same labels with others."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from support.inference_networks import variant_network

from SegSRGANLib import EnhanceOptions, enhance
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import Model
from SegSRGANLib.networks.cascade import Cascade, CascadeConfig
from SegSRGANLib.networks.image_network import ImageNetwork


def _cascade() -> ImageNetwork:
    torch.manual_seed(0)
    return Cascade(CascadeConfig(classes=2)).eval()


NETWORKS = {
    "paper": partial(variant_network, "paper"),
    "original": partial(variant_network, "original"),
    "original U-Net": partial(variant_network, "original U-Net"),
    "cascade": _cascade,
}


@pytest.fixture
def threads():
    """Set the number of threads; afterwards it is what it was."""
    before = torch.get_num_threads(), sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()

    def use(count: int) -> None:
        torch.set_num_threads(count)
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(count)

    yield use
    torch.set_num_threads(before[0])
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before[1])


def _scan() -> sitk.Image:
    image = sitk.GetImageFromArray(np.random.default_rng(0).random((8, 24, 26), np.float32) * 100 + 20)
    image = sitk.DiscreteGaussian(image, 1.5)
    image.SetSpacing((1.0, 1.0, 3.0))
    return image


def _results(network: ImageNetwork, patch: int) -> list[np.ndarray]:
    prediction = PredictionOptions(patch, 0.5, device="cpu", precision="float32")
    result = enhance(_scan(), Model(network, ModelCard()), EnhanceOptions(1.0, prediction=prediction), mask="none")
    return [sitk.GetArrayFromImage(image) for image in (result.sr, result.probability, result.labels)]


@pytest.mark.parametrize("patch", [32, 0], ids=["patches", "whole volume"])
@pytest.mark.parametrize("name", NETWORKS)
def test_same_threads_same_bits_other_threads_same_labels(name, patch, threads):
    network = NETWORKS[name]()
    threads(2)
    once = _results(network, patch)
    assert np.ptp(once[1]) > 0.1 and 0 < once[2].mean() < 1  # something is predicted
    assert all(np.array_equal(a, b) for a, b in zip(once, _results(network, patch), strict=True))
    threads(1)
    intensity, probability, labels = _results(network, patch)
    assert np.abs(intensity - once[0]).max() < 1e-5 * np.abs(once[0]).max()
    assert np.abs(probability - once[1]).max() < 1e-4
    assert np.array_equal(labels, once[2])
