"""Compressed volumes: the bytes that went in come out, whatever they are, and intensities take no more room."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from SegSRGANLib.io.gzip_stream import compress


@settings(max_examples=30, deadline=None)
@given(content=st.binary(max_size=2000), repeated=st.integers(1, 3000), intensities=st.booleans())
def test_what_went_in_comes_out(tmp_path_factory, content, repeated, intensities):
    folder = tmp_path_factory.mktemp("gzip")
    (folder / "plain").write_bytes(content * repeated)
    for name in ("first", "second"):
        compress(folder / "plain", folder / name, intensities)
    assert gzip.decompress((folder / "first").read_bytes()) == content * repeated
    assert (folder / "first").read_bytes() == (folder / "second").read_bytes()  # neither name nor time inside


def test_intensities_take_no_more_room_than_with_zlibs_usual_search(tmp_path):
    random = np.random.default_rng(0)
    brain = np.zeros((40, 60, 60), np.float32)
    brain[8:32, 12:48, 12:48] = random.normal(300, 40, (24, 36, 36))
    (tmp_path / "plain").write_bytes(brain.tobytes())
    compress(tmp_path / "plain", tmp_path / "packed", intensities=True)
    assert (tmp_path / "packed").stat().st_size <= 1.01 * len(gzip.compress(brain.tobytes(), 6))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_an_error(tmp_path):
    (tmp_path / "plain").write_bytes(bytes(range(256)) * 9999)
    with pytest.raises(OSError, match="No space left"):
        compress(tmp_path / "plain", Path("/dev/full"), intensities=True)
