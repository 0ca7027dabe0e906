"""A small brain and its thick slices."""

import pytest

from SegSRGANLib.datasets.phantom import neonatal_phantom
from SegSRGANLib.transforms.acquisition import acquire


@pytest.fixture(scope="module")
def truth():
    """The middle of a phantom, 1 mm."""
    brain = neonatal_phantom(1.5, seed=3).t2w
    size = brain.GetSize()
    return brain[8 : size[0] - 8, 8 : size[1] - 8, 8 : 8 + 48]


@pytest.fixture(scope="module")
def scan(truth):
    return acquire(truth, (1.5, 1.5, 4.5), noise=15.0)
