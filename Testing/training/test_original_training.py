"""What users of the original project trained: a critic at its own rate, brain masks, conditional networks."""

import pytest
import torch

pytest.importorskip("lightning_fabric", reason="training needs the extra 'train'")

from support.training_brains import table, values

from SegSRGANLib.training import run_folder
from SegSRGANLib.training.config import make_config
from SegSRGANLib.training.setup import make_network
from SegSRGANLib.training.state import load_state, save_state
from SegSRGANLib.training.step import Engine, make_fabric
from SegSRGANLib.training.trainer import train

GAN = {
    "loss": {"adversarial": 1e-3, "critic_filters": 1, "critic_steps": 1},
    "network": {"architecture": "original", "options": {"filters": 1}},
    "optimizer": {"batch": 1, "rate": 1e-3, "warmup": 0, "schedule": "constant", "clip": None},
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Brains on disk; drawing takes longer than training here, and is left out."""
    monkeypatch.setattr(run_folder, "try_to_draw", lambda *arguments: None)
    table(tmp_path)
    return tmp_path


def _engine(**changes):
    config = make_config({"output": "run", "csv": "none.csv", "label": 5, "device": "cpu", **changes})
    return Engine(config, make_network(config, None), make_fabric(config))


def _draw(number, target=2, spacing=None):
    generator = torch.Generator().manual_seed(number)
    batch = [torch.rand(1, channels, 64, 64, 64, generator=generator) for channels in (1, target)]
    return batch if spacing is None else [*batch, torch.tensor([spacing])]


def _moved(before, network):
    return max((value - before[key]).abs().max().item() for key, value in network.state_dict().items())


def _copy(network):
    return {key: value.clone() for key, value in network.state_dict().items()}


@pytest.mark.parametrize(("critic_rate", "expected"), [(None, 1e-3), (2e-4, 2e-4)])
def test_the_critic_has_a_rate_of_its_own(critic_rate, expected):
    engine = _engine(**GAN | {"optimizer": {**GAN["optimizer"], "critic_rate": critic_rate}})
    before = _copy(engine.critic)
    engine.step(iter([_draw(0), _draw(1)]), 0, 0.0)
    # the first step of Adam moves every weight by its rate
    assert _moved(before, engine.critic) == pytest.approx(expected, rel=1e-2)


def test_the_critics_rate_follows_the_schedule():
    schedule = {**GAN["optimizer"], "critic_rate": 2e-4, "schedule": "cosine", "floor": 0.5}
    engine = _engine(**GAN | {"optimizer": schedule})
    before = _copy(engine.critic)
    engine.step(iter([_draw(0), _draw(1)]), 0, 1.0)
    assert _moved(before, engine.critic) == pytest.approx(1e-4, rel=1e-2)


@pytest.mark.parametrize("rate", [0, -1e-4, 2])
def test_a_rate_of_the_critic_that_cannot_be_is_refused(rate):
    with pytest.raises(ValueError, match="learning rate lies above 0 and at most at 1, not at"):
        make_config({"output": "run", "csv": "s.csv", "label": 5, "optimizer": {"critic_rate": rate}})


def test_a_training_begun_before_an_option_existed_goes_on(folder):
    train(make_config(values(folder, epochs=1)))
    state = folder / "run" / "state.safetensors"
    engine = _engine(network=values(folder)["network"])
    facts = load_state(state, engine.parts)
    del facts["config"]["optimizer"]["critic_rate"]
    save_state(state, engine.parts, facts)
    train(make_config(values(folder, epochs=2, resume=True)))
    assert len((folder / "run" / "log.csv").read_text().splitlines()) == 3
