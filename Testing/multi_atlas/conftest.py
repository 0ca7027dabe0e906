"""Phantoms as atlases, and what every fusion makes of them."""

import itertools

import pytest
import SimpleITK as sitk
from support.atlas_scenes import SYSTEMS, dice, jittered

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.datasets.phantom import CORTEX as LABEL
from SegSRGANLib.datasets.phantom import neonatal_phantom
from SegSRGANLib.multi_atlas import majority_vote as voting
from SegSRGANLib.transforms.acquisition import acquire
from SegSRGANLib.transforms.resample import upsample


@pytest.fixture(scope="session")
def scene() -> dict:
    """Half a phantom at 1 mm with noise, its thick slices interpolated, and five registered atlases with errors."""
    phantom = neonatal_phantom(1.0, seed=3, noise=0.01)
    part = (slice(10, 50), slice(26, 74), slice(48, 74))
    image, labels = phantom.t2w[part], phantom.labels[part]
    thick = acquire(image, (1.0, 1.0, 4.0))
    warped = [jittered(image, labels, 0.8, seed) for seed in range(5)]
    return {
        "hr": image,
        "lr": upsample(thick, Grid.of(image)),
        "warped": warped,
        "mask": sitk.Cast(labels > 0, sitk.sitkUInt8),
        "truth": sitk.GetArrayFromImage(labels) == LABEL,
    }


@pytest.fixture(scope="session")
def figures(scene: dict) -> dict[str, float]:
    """Dice of every system on both volumes."""
    found = {"majority": dice(voting.majority(scene["warped"], LABEL), scene["truth"])}
    for (name, segment), volume in itertools.product(SYSTEMS.items(), ("hr", "lr")):
        result = segment(scene[volume], scene["warped"], LABEL, mask=scene["mask"])
        found[f"{name} {volume}"] = dice(result, scene["truth"])
    return found
