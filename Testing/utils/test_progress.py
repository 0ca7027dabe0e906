"""Progress of a part within the whole, and stopping on request."""

import pytest

from SegSRGANLib.utils.errors import Cancelled
from SegSRGANLib.utils.progress import scaled, stop_if


def test_scaled_maps_a_part_onto_its_range():
    seen = []
    part = scaled(lambda fraction, message: seen.append((fraction, message)), 0.2, 0.6)
    for fraction in (0.0, 0.5, 1.0, 1.5):
        part(fraction, "predicting")
    assert seen == [(pytest.approx(value), "predicting") for value in (0.2, 0.4, 0.6, 0.6)]


def test_scaled_nests():
    seen = []
    inner = scaled(scaled(lambda fraction, message: seen.append(fraction), 0.5, 1.0), 0.0, 0.5)
    inner(1.0, "")
    assert seen == [pytest.approx(0.75)]


def test_scaled_without_a_callback_is_silent():
    assert scaled(None, 0.0, 1.0)(0.5, "nobody listens") is None


def test_stop_if_raises_only_on_request():
    stop_if(None)
    stop_if(lambda: False)
    with pytest.raises(Cancelled):
        stop_if(lambda: True)
