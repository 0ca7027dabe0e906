"""DICOM folders, model files and lists, whatever bytes they hold: read, or refused in one sentence.

The files of volumes are in `test_volume_fuzz.py`; `fuzzing.py` says how to search longer.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import example, given
from hypothesis import strategies as st
from support.batch_cohort import save_tiny_model
from support.dicom_files import mr_series, save_series
from support.fuzzing import bounded_memory, fuzz, mutated, mutations

from SegSRGANLib.io.volume import VolumeError, read_volume
from SegSRGANLib.models.card import read_card
from SegSRGANLib.models.checkpoint import load_checkpoint
from SegSRGANLib.models.header import METADATA_KEY
from SegSRGANLib.models.keras_import import read_keras_file
from SegSRGANLib.training.config import make_config, read_values
from SegSRGANLib.training.data.splits import read_cases
from SegSRGANLib.utils.errors import CheckpointError

__all__ = ["bounded_memory"]  # a fixture that holds for every test here

KERAS = Path(__file__).parents[1] / "models" / "data" / "original-plain.h5"


def _refused_in_one_sentence(error: BaseException) -> None:
    assert str(error) and "\n" not in str(error)


@pytest.fixture(scope="module")
def series(tmp_path_factory) -> Path:
    return save_series(tmp_path_factory.mktemp("fuzz") / "series", mr_series(slices=3))


@fuzz
@given(changes=mutations, every=st.booleans())
def test_mutated_dicom(series, changes, every):
    """One slice of a series, or each of them in the same way."""
    sound = {path: path.read_bytes() for path in sorted(series.iterdir())}
    try:
        for path in list(sound) if every else list(sound)[1:2]:
            path.write_bytes(mutated(sound[path], changes))
        try:
            image = read_volume(series)
        except VolumeError as error:
            _refused_in_one_sentence(error)
        else:
            values = sitk.GetArrayViewFromImage(image)
            assert image.GetDimension() == 3 and np.isfinite(values).all() and min(image.GetSpacing()) > 0
    finally:
        for path, content in sound.items():
            path.write_bytes(content)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("fuzz") / "tiny.safetensors")


@fuzz
@given(changes=mutations)
def test_mutated_model_files(model, changes):
    path = model.with_name("mutated.safetensors")
    path.write_bytes(mutated(model.read_bytes(), changes))
    _loads_or_refuses(load_checkpoint, path)


@fuzz
@given(changes=mutations)
def test_mutated_descriptions_in_model_files(model, changes):
    """The header alone, with its length put right, so that its values are reached."""
    content = model.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = mutated(content[8:end], changes)
    path = model.with_name("mutated.safetensors")
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[end:])
    _loads_or_refuses(load_checkpoint, path)


WILD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from([10**9, 10**30, -(10**9), 1e308, float("nan"), float("inf"), "", "x" * 300, [], {}, [1], {"a": 1}]),
    st.lists(st.floats(), max_size=3),
)


def _leaves(value, path=()):
    """The places of all values in nested JSON, groups among them."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from _leaves(item, (*path, key))


@fuzz
@given(changes=st.lists(st.tuples(st.integers(0, 60), WILD, st.booleans()), min_size=1, max_size=3))
def test_wild_values_in_the_descriptions_of_model_files(model, changes):
    """JSON that is sound, of any values: what a hostile or a later version's file may say."""
    content = model.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    description = json.loads(header["__metadata__"][METADATA_KEY])
    for number, value, removed in changes:
        places = list(_leaves(description))
        *outer, last = places[number % len(places)]
        holder = description
        for key in outer:
            holder = holder[key]
        if removed:
            del holder[last]
        else:
            holder[last] = copy.deepcopy(value)  # a drawn container is shared: it would come to hold itself
    header["__metadata__"][METADATA_KEY] = json.dumps(description)
    text = json.dumps(header).encode()
    path = model.with_name("mutated.safetensors")
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[end:])
    _loads_or_refuses(load_checkpoint, path)
    _loads_or_refuses(read_card, path)


@fuzz
@given(changes=mutations)
def test_mutated_keras_files(model, changes):
    pytest.importorskip("h5py", reason="the keras extra is not installed")
    path = model.with_name("mutated.h5")
    path.write_bytes(mutated(KERAS.read_bytes(), changes))
    _loads_or_refuses(read_keras_file, path)


def _loads_or_refuses(load, path: Path) -> None:
    try:
        load(path)
    except CheckpointError as error:
        _refused_in_one_sentence(error)


# What lists and configurations are made of, most often in an order that makes some sense.
words = st.sampled_from(
    [
        "hr",
        "labels",
        "subject",
        "split",
        "train",
        "test",
        ",",
        ";",
        "\t",
        "\n",
        '"',
        "\0",
        "a.nii",
        "..",
        "/",
        "\ufeff",
        "=",
        ": ",
    ]
)
texts = st.one_of(st.lists(words, max_size=40).map("".join).map(str.encode), st.binary(max_size=300))


@fuzz
@given(content=texts)
def test_any_list_of_subjects(model, content):
    path = model.with_name("subjects.csv")
    path.write_bytes(content)
    try:
        read_cases(str(path), None, 0.2, 0)
    except ValueError as error:
        _refused_in_one_sentence(error)


KEYS = [
    "output",
    "csv",
    "bids",
    "label",
    "epochs",
    "hours",
    "optimizer",
    "rate",
    "compute",
    "simulation",
    "preset",
    "seed",
]
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(KEYS)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)),
    max_leaves=8,
)


@fuzz
@given(
    content=st.one_of(
        texts,
        st.lists(st.sampled_from([*KEYS, ": ", "\n", "  ", "- ", "{", "[", "&a", "*a", "1"]))
        .map("".join)
        .map(str.encode),
    )
)
@example(b"output: &a [*a]")
def test_any_training_file(model, content):
    pytest.importorskip("yaml", reason="the train extra is not installed")
    for name in ("training.yaml", "training.json"):
        path = model.with_name(name)
        path.write_bytes(content)
        try:
            make_config(read_values(path))
        except ValueError as error:
            _refused_in_one_sentence(error)


@pytest.mark.slow
@fuzz
@given(content=st.dictionaries(st.sampled_from(KEYS), values, max_size=6))
def test_any_training_values(content):
    try:
        make_config({"output": "x", "csv": "y", "label": 1, **content})
    except ValueError as error:
        _refused_in_one_sentence(error)
