"""The configuration: presets, files, and one sentence for each mistake."""

import json
from pathlib import Path

import pytest

from SegSRGANLib.training.config import TrainingConfig, make_config, parse_setting, read_values
from SegSRGANLib.training.config_parsing import build, merge
from SegSRGANLib.training.setup import make_network

CONFIGURATIONS = Path(__file__).resolve().parents[2] / "benchmarks" / "configs"
LEAST = {"output": "run", "csv": "subjects.csv", "label": 5}


def test_the_papers_preset_has_the_papers_numbers():
    config = make_config({**LEAST, "preset": "paper"})
    loss, optimizer = config.loss, config.optimizer
    assert (loss.intensity, loss.segmentation, loss.dice) == ("charbonnier", "charbonnier", 0.0)
    assert loss.cross_entropy == 0 and optimizer.output_rate == (1.0, 1.0)
    assert (loss.intensity_weight, loss.segmentation_weight) == (0.5, 0.5)
    assert (loss.adversarial, loss.gradient_penalty, loss.critic_steps, loss.critic_filters) == (0.001, 10, 5, 32)
    assert (optimizer.rate, optimizer.betas, optimizer.batch) == (1e-4, (0.5, 0.999), 16)
    assert (config.epochs, config.simulation.patch) == (200, 64)


def test_a_model_to_start_from_means_fine_tuning():
    scratch, tuned = make_config(LEAST), make_config({**LEAST, "init": "segsrgan-paper"})
    assert (scratch.preset, tuned.preset) == ("content", "fine-tune")
    assert tuned.optimizer.rate < scratch.optimizer.rate / 5
    assert make_config({**LEAST, "init": "segsrgan-paper", "preset": "paper"}).optimizer.rate == 1e-4


def test_values_override_their_preset_one_by_one():
    config = make_config({**LEAST, "preset": "paper", "optimizer": {"batch": 4}, "init": None})
    assert (config.optimizer.batch, config.optimizer.rate) == (4, 1e-4)


def test_the_panels_configuration_is_taken():
    values = {"init": None, "epochs": 3, "device": "cpu", "slice_thickness": [1, 4], "title": "x", "resume": False}
    config = make_config({**LEAST, **values})
    assert config.slice_thickness == (1.0, 4.0) and config.label == (5,)


@pytest.mark.parametrize("what", [{"label": [3, 5]}, {"label": None, "classes": {"white matter": 1, "cortex": [5, 6]}}])
def test_json_brings_back_the_same_configuration(what):
    config = make_config({**LEAST, "slice_thickness": [1.5, 4], **what})
    again = make_config(json.loads(config.to_json()))
    assert again == config == build(TrainingConfig, json.loads(config.to_json()))
    assert list(again.tissues.items()) == list(config.tissues.items())


def test_classes_and_the_short_form_of_one():
    assert make_config({**LEAST, "label": [3, 5]}).tissues == {"cortex": (3, 5)}
    several = make_config({"output": "run", "csv": "s.csv", "classes": {"white matter": 1, "cortex": [5, 6]}})
    assert list(several.tissues.items()) == [("white matter", (1,)), ("cortex", (5, 6))]
    setting = parse_setting('classes={"white matter": [1], "cortex": 5}')
    assert make_config({"output": "run", "csv": "s.csv", **setting}).tissues == {"white matter": (1,), "cortex": (5,)}


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        ({"options": {"classes": 2}}, r"network.options.classes is 2, but the configuration has 3 \(a, b, c\)"),
        ({"architecture": "srrecnn"}, "architecture srrecnn cannot segment 3 classes"),
        ({"architecture": "original"}, "architecture original cannot segment 3 classes"),
    ],
)
def test_networks_that_cannot_have_these_classes(network, sentence):
    config = make_config({"output": "r", "csv": "s.csv", "classes": {"a": 1, "b": 2, "c": 3}, "network": network})
    with pytest.raises(ValueError, match=sentence):
        make_network(config, None)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"epoch": 3}, "Unknown key epoch in the configuration; did you mean 'epochs'"),
        ({"optimizer": {"rte": 1}}, "Unknown key optimizer.rte .* did you mean 'rate'"),
        ({"simulation": {"augmentation": {"gama": 1}}}, "Unknown key simulation.augmentation.gama"),
        ({"epochs": "many"}, "epochs must be a whole number, not 'many'"),
        ({"epochs": 2.5}, "epochs must be a whole number, not 2.5"),
        ({"epochs": 0}, "epochs and patches_per_subject are at least 1"),
        ({"resume": "yes"}, "resume must be true or false, not 'yes'"),
        ({"optimizer": {"rate": True}}, "optimizer.rate must be a number, not True"),
        ({"optimizer": {"rate": float("nan")}}, "optimizer.rate must be a finite number"),
        ({"optimizer": {"rate": -1}}, "learning rate lies above 0 and at most at 1, not at -1"),
        ({"optimizer": 3}, "optimizer holds a group of keys, not 3"),
        ({"optimizer": {"schedule": "step"}}, "Unknown schedule 'step'"),
        ({"optimizer": {"precision": "8"}}, "Unknown precision '8'"),
        ({"slice_thickness": [1, 2, 3]}, "slice_thickness needs a list of 2"),
        ({"slice_thickness": [4, 2]}, "slice_thickness goes from a positive number"),
        ({"preset": "best"}, "Unknown preset 'best'; choose one of"),
        ({"bids": "folder"}, "either as `csv` or as `bids`"),
        ({"label": None}, "lacks `label`"),
        ({"label": []}, "Give the `label`"),
        ({"output": None}, "lacks `output`"),
        ({"loss": {"adversarial": 0.1}, "simulation": {"patch": 32}}, "critic needs patches of at least 64"),
        ({"optimizer": {"batch": 3}, "compute": {"processes": 2}}, "batch of 3 patches cannot be shared by 2"),
        ({"classes": {"cortex": 5}}, "either `label`, for one tissue, or `classes`"),
        ({"label": None, "classes": {}}, "Give the `label`"),
        ({"label": None, "classes": [5, 1]}, r"classes holds a group of keys, not \[5, 1\]"),
        ({"label": None, "classes": {"cortex": "five"}}, "classes.cortex must be a whole number, not 'five'"),
        ({"label": None, "classes": {"cortex": []}}, r"class 'cortex' has no label; .* \{cortex: \[5\]\}"),
        ({"label": None, "classes": {"cortex": 0}}, "class 'cortex' cannot have the label 0"),
        ({"label": None, "classes": {"a": [1, 2], "b": 2}}, "label 2 stands in the classes 'a' and 'b'"),
        ({"label": None, "classes": {"a b": 1, "A-B": 2}}, "'a b' and 'A-B' would share files"),
        ({"label": None, "classes": {"a": 1, "b": 2}, "preset": "paper"}, "one segmentation, not 2 classes: set loss"),
        ({"validation": {"patience": 0}}, "validation.patience is at least 1"),
        ({"compute": {"workers": -1}}, "compute.workers is at least 0"),
    ],
)  # fmt: skip
def test_mistakes_get_one_sentence(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        make_config({**LEAST, **values})


def test_files_are_read_relative_to_themselves(tmp_path, monkeypatch):
    pytest.importorskip("yaml", reason="needs the extra 'train'")
    monkeypatch.setenv("DATA", "/elsewhere")
    (tmp_path / "c.yaml").write_text("output: run\nbids: $DATA/set\nlabel: 5\noptimizer: {rate: 1e-4}\n")
    values = read_values(tmp_path / "c.yaml")
    assert values["output"] == str(tmp_path / "run") and values["bids"] == "/elsewhere/set"
    assert make_config(values).optimizer.rate == 1e-4
    (tmp_path / "c.json").write_text(json.dumps({"output": "/abs", "csv": "a.csv", "label": [1, 2]}))
    assert make_config(read_values(tmp_path / "c.json")).csv == str(tmp_path / "a.csv")


@pytest.mark.parametrize(("name", "text"), [("c.json", "{"), ("c.yaml", "a: [1"), ("c.yaml", "only text")])
def test_malformed_files_are_refused(tmp_path, name, text):
    pytest.importorskip("yaml", reason="needs the extra 'train'")
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=name):
        read_values(tmp_path / name)


@pytest.mark.parametrize("path", sorted(CONFIGURATIONS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_committed_recipes_are_valid(path):
    pytest.importorskip("yaml", reason="needs the extra 'train'")
    config = make_config(read_values(path))
    assert next(iter(config.tissues.values())) == (5,)  # the cortex comes first
    assert config.csv is not None and Path(config.csv).is_file()
    assert f"/runs/{path.stem}" in config.output.replace("\\", "/")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no configuration file"):
        read_values(tmp_path / "none.yaml")


def test_settings_of_the_command_line():
    assert parse_setting("optimizer.rate=1e-4") == {"optimizer": {"rate": 1e-4}}
    assert parse_setting('freeze=["stem"]') == {"freeze": ["stem"]}
    assert parse_setting("network.architecture=cascade") == {"network": {"architecture": "cascade"}}
    with pytest.raises(ValueError, match="KEY=VALUE"):
        parse_setting("epochs")
    assert merge({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}) == {"a": {"b": 3, "c": 2}}
