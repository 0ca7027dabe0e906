"""What a segmentation amounts to, against shapes with known figures."""

import numpy as np
import pytest
from skimage.measure import euler_number as skimage_euler_number
from support.solids import segmentation_image

from SegSRGANLib.quality.morphometry import describe_segmentation, euler_number, surface_area


def _solid(size=24, spacing=0.5):
    z, y, x = np.indices((size,) * 3) - (size - 1) / 2
    return np.sqrt(x**2 + y**2 + z**2) * spacing


def test_sphere_has_its_volume_surface_and_euler_number():
    radius = 9.0
    figures = describe_segmentation(segmentation_image(_solid(48) < radius))
    assert figures["volume_ml"] == pytest.approx(4 / 3 * np.pi * radius**3 / 1000, rel=0.02)
    assert figures["surface_cm2"] == pytest.approx(4 * np.pi * radius**2 / 100, rel=0.03)
    assert (figures["euler_number"], figures["components"], figures["largest_component"]) == (1, 1, 1.0)


def test_shell_and_ring():
    distance = _solid()
    assert euler_number((distance < 5) & (distance > 3)) == 2  # a cavity
    y, x = np.indices((15, 15)) - 7
    ring = np.zeros((5, 15, 15), bool)
    ring[1:4] = (np.hypot(x, y) < 6) & (np.hypot(x, y) > 3)
    assert euler_number(ring) == 0  # a tunnel


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7])
def test_euler_number_of_noise_is_scikit_images(share):
    noise = np.random.default_rng(0).random((9, 10, 11)) < share
    assert euler_number(noise) == skimage_euler_number(noise, connectivity=3)


def test_surface_at_the_border_of_the_volume_counts():
    assert surface_area(segmentation_image(np.ones((20, 20, 20)))) == pytest.approx(6 * 100, rel=0.15)
