"""What users of the original project trained: a critic at its own rate, brain masks, conditional networks."""

import csv
import json
import shutil
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from safetensors.torch import load_file
from support.training_brains import brain, table, values, write

pytest.importorskip("lightning_fabric", reason="training needs the extra 'train'")

from SegSRGANLib.models.checkpoint import load_checkpoint
from SegSRGANLib.models.keras_critic import read_keras_critic
from SegSRGANLib.models.keras_import import read_keras_file
from SegSRGANLib.training import run_folder
from SegSRGANLib.training.config import make_config
from SegSRGANLib.training.data.augmentation import AugmentationConfig
from SegSRGANLib.training.data.dataloader import PatchDataset, batches
from SegSRGANLib.training.data.device_stream import device_batches
from SegSRGANLib.training.data.loading import load_subject
from SegSRGANLib.training.data.patch_simulation import simulate_patch
from SegSRGANLib.training.data.splits import DataError, read_cases
from SegSRGANLib.training.data.subject import MaskTarget, Subject
from SegSRGANLib.training.losses import Told, gradient_penalty
from SegSRGANLib.training.setup import make_network
from SegSRGANLib.training.state import load_state, save_state
from SegSRGANLib.training.step import Engine, make_fabric
from SegSRGANLib.training.trainer import train
from SegSRGANLib.transforms.normalization import Normalization

PLAIN = AugmentationConfig(
    orientations=0.0, gamma=(1.0, 1.0), tissue_shift=0.0, bias=0.0, scale=(1.0, 1.0), background=0.0
)
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


MASKED = {"network": {"architecture": "original", "options": {"filters": 1, "mask_channels": 1}}}


def _with_masks(folder, **columns):
    """Brains with a mask that leaves a part of their fluid out, and the table that says so."""
    lines = ["HR_image,Label_image,Mask_image,Base"]
    for index, base in enumerate(("Train", "Train", "Test")):
        _, labels = brain(index)
        labels[:6] = 0
        write((labels > 0).astype(np.uint8), folder / f"sub-{index:02}_mask.nii")
        lines.append(f"sub-{index:02}_T2w.nii,sub-{index:02}_dseg.nii,sub-{index:02}_mask.nii,{base}")
    (folder / "subjects.csv").write_text("\n".join(lines) + "\n")


def test_a_network_with_a_mask_head_is_trained(folder):
    _with_masks(folder)
    model = load_checkpoint(train(make_config(values(folder, epochs=1, **MASKED))))
    assert model.network.config.mask_channels == 1
    with (folder / "run" / "log.csv").open() as stream:
        row = next(csv.DictReader(stream))
    assert 0 <= float(row["mask_dice"]) <= 1 and row["dice"] != ""
    assert "Dice mask" in (folder / "run" / "report.md").read_text()
    result = json.loads((folder / "run" / "result.json").read_text())
    assert result["after"]["mask_dice"] == pytest.approx(float(row["mask_dice"]))


@pytest.mark.parametrize("channels", [1, 2])
def test_the_mask_head_learns_the_mask(channels):
    """Of one patch, within a few steps, as well as the classes."""
    options = {"architecture": "original", "options": {"filters": 4, "mask_channels": channels}}
    optimizer = {"batch": 1, "rate": 1e-2, "warmup": 0, "average": 0.0, "output_rate": [0.1, 1.0]}
    engine = _engine(network=options, optimizer=optimizer, simulation={"patch": 16})
    simulation = replace(engine.config.simulation, zoom=(1.0, 1.0), augmentation=PLAIN)
    x, target = simulate_patch(_subject(channels), simulation, _rng(0))
    with torch.no_grad():
        before = engine.network(x[None])[0]
    for step in range(25):
        engine.step(repeat([x[None], target[None]]), step, step / 25)
    with torch.no_grad():
        after = engine.network(x[None])[0]
    assert after.shape[0] == target.shape[0] == 2 + channels
    truth = target[-1] > 0.5
    first, last = (((output[-1] > 0.5) == truth).float().mean().item() for output in (before, after))
    share = truth.float().mean().item()
    assert last > 0.1 + max(first, share, 1 - share)


def test_the_masks_loss_is_that_of_a_class():
    """With equal weights, the paper's loss is the mean over intensity, segmentation and mask, as in the original."""
    third = {"intensity_weight": 1 / 3, "segmentation_weight": 1 / 3, "dice": 0.0, "cross_entropy": 0.0}
    engine = _engine(loss=third, network=MASKED["network"])
    prediction, target = torch.rand(2, 2, 3, 8, 8, 8)
    expected = ((prediction - target) ** 2 + 1e-6).sqrt().mean()
    assert engine._content_loss(prediction, target).item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_critic_judges_the_mask_as_well():
    engine = _engine(**GAN | {"network": {"architecture": "original", "options": {"filters": 1, "mask_channels": 1}}})
    losses = engine.step(iter([_draw(0, 3), _draw(1, 3)]), 0, 0.0)
    assert engine.critic.layers[0].in_channels == 3 and losses.critic != 0


def test_the_mask_of_a_patch_is_the_brain_in_it():
    config = replace(_engine().config.simulation, patch=16, zoom=(1.0, 1.0), augmentation=PLAIN)
    subject = _subject(1)
    _, alone = simulate_patch(replace(subject, mask=None), config, _rng(3))
    _, one = simulate_patch(subject, config, _rng(3))
    _, two = simulate_patch(_subject(2), config, _rng(3))
    assert torch.equal(one[:2], alone) and torch.equal(one, two[[0, 1, 3]])
    assert torch.allclose(two[2] + two[3], torch.ones(16, 16, 16))
    outer = replace(config, augmentation=replace(PLAIN, surroundings=(4,)))
    _, inner = simulate_patch(subject, outer, _rng(3))
    assert inner[2].sum() < one[2].sum()


def test_labels_outside_of_the_mask_to_learn_do_not_count(folder):
    _with_masks(folder)
    cases = read_cases(str(folder / "subjects.csv"), None, 0.2, 0)
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "sub-00_mask.nii"))) > 0
    learnt, plain = (load_subject(cases[0], {"cortex": (5,)}, Normalization(), what) for what in (MaskTarget(1), None))
    assert np.count_nonzero(learnt.brain) == mask.sum() < np.count_nonzero(plain.labels)


def test_a_map_of_the_cortex_alone_says_nothing_of_the_brain(folder):
    for path in folder.glob("*_dseg.nii"):
        labels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        write(np.where(labels == 5, labels, 0).astype(np.uint8), path)
    with pytest.raises(DataError, match="cannot learn a brain mask from it; add a Mask_image"):
        train(make_config(values(folder, **MASKED)))


def test_a_mask_without_the_cortex_is_refused(folder):
    _with_masks(folder)
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "sub-01_dseg.nii")))
    write((labels == 4).astype(np.uint8), folder / "sub-01_mask.nii")
    with pytest.raises(DataError, match="sub-01 has no cortex inside its Mask_image"):
        train(make_config(values(folder, **MASKED)))


def test_a_mask_of_many_classes_is_not_trained():
    with pytest.raises(ValueError, match="a mask of 3 classes; a mask that is trained has one channel"):
        _engine(network={"architecture": "original", "options": {"mask_channels": 3}})


def test_a_parent_without_a_mask_head_does_not_get_one(folder):
    plain = {"network": {"architecture": "original", "options": {"filters": 1}}}
    parent = train(make_config(values(folder, epochs=1, **plain)))
    with pytest.raises(ValueError, match="has mask_channels 0, the configuration asks for network.options.mask_ch"):
        train(make_config(values(folder, init=str(parent), output=str(folder / "tuned"), **MASKED)))


def test_masks_are_simulated_on_the_device_as_well():
    config = replace(_engine().config.simulation, patch=16)
    batch = next(device_batches([_subject(2)], config, None, (0, 0), (0, 2), torch.device("cpu")))
    assert batch[1].shape == (2, 4, 16, 16, 16)
    assert torch.allclose(batch[1][:, 2] + batch[1][:, 3], torch.ones(2, 16, 16, 16))
    assert (batch[1][:, 3] >= batch[1][:, 1] - 1e-5).all()  # the cortex lies in the brain


def _subject(channels):
    intensity, labels = brain(0, 32)
    return Subject("brain", intensity / 100, labels, {"cortex": (5,)}, 0.8, mask=MaskTarget(channels))


def _rng(seed):
    return np.random.default_rng(seed)


CONDITIONAL = {"network": {"architecture": "original", "options": {"filters": 1, "conditional": True}}}


def test_a_conditional_network_is_fine_tuned(folder):
    parent = train(make_config(values(folder, epochs=1, **CONDITIONAL)))
    before = load_checkpoint(parent).network
    config = make_config(values(folder, epochs=1, init=str(parent), output=str(folder / "tuned"), network={}))
    train(config)
    after = load_checkpoint(folder / "tuned" / "last.safetensors").network
    assert after.config.conditional and not torch.equal(after.conv2.weight, before.conv2.weight)
    assert torch.equal(after.conv1.weight[:, 1:], before.conv1.weight[:, 1:])  # the spacing has no influence
    assert not torch.equal(after.conv1.weight[:, :1], before.conv1.weight[:, :1])


def test_a_conditional_network_learns_nothing_from_the_spacing():
    """The gradients with the spacing as the original gives it, and those without it, are the same."""
    torch.manual_seed(0)
    network = make_network(_engine(**CONDITIONAL).config, None).double()
    x = torch.rand(1, 1, 16, 16, 16, dtype=torch.float64)
    gradients = []
    for given in (x, torch.cat([x, torch.full_like(x, 3.0)], dim=1)):
        network.zero_grad()
        network(given).square().sum().backward()
        gradients.append({name: parameter.grad.clone() for name, parameter in network.named_parameters()})
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradient, gradients[1][name], rtol=1e-6, atol=1e-9), name
    assert gradients[1]["conv1.weight"][:, 1:].abs().max() < 1e-9


def test_the_critic_of_a_conditional_network_is_told_the_spacing():
    engine = _engine(**GAN | CONDITIONAL)
    assert engine.tells_spacing and engine.critic.layers[0].in_channels == 3
    x, target, _ = _draw(1, spacing=2.0)
    losses = [engine._objective(target, x.expand_as(target), torch.zeros(1, 1, 1, 1, 1), torch.tensor([mm])).item()
              for mm in (2.0, 4.0)]  # fmt: skip
    assert losses[0] != losses[1]
    before = _copy(engine.network)
    assert engine.step(iter([_draw(0, spacing=2.0), _draw(1, spacing=3.0)]), 0, 0.0).critic != 0
    assert _moved(before, engine.network) > 0


def test_the_told_spacing_is_that_of_the_patch():
    """With a thickness in mm it is that; else the factor times the voxels of the patch, whatever its zoom."""
    simulation = replace(_engine().config.simulation, patch=8, zoom=(0.9, 1.4), factor=(2.0, 2.0))
    told = PatchDataset([_subject(1)], simulation, (2.4, 2.4), 0, with_spacing=True)
    assert [told[k][2].item() for k in range(3)] == pytest.approx([2.4] * 3)
    plain = PatchDataset([_subject(1)], simulation, (2.4, 2.4), 0)
    assert len(plain[0]) == 2 and all(torch.equal(a, b) for a, b in zip(plain[0], told[0], strict=False))
    drawn = [PatchDataset([_subject(1)], simulation, None, 0, with_spacing=True)[k][2].item() for k in range(8)]
    assert 2 * 0.8 / 1.4 <= min(drawn) < max(drawn) <= 2 * 0.8 / 0.9
    batch = next(batches(told, 0, 2, 0))
    assert batch[2].shape == (2,) and batch[2].dtype == torch.float32


def test_the_penalty_looks_at_images_and_not_at_the_spacing():
    """A critic that listens to the spacing alone has no slope on the segment between the images."""
    weights = torch.tensor([0.0, 0.0, 5.0])
    told = Told(_Channels(weights), torch.tensor([3.0, 1.0]))
    x = torch.rand(2, 2, 4, 4, 4)
    assert gradient_penalty(told, x, 1 - x, torch.full((2, 1, 1, 1, 1), 0.5)).item() == pytest.approx(1.0)


class _Channels(torch.nn.Module):
    """The weighted mean of the channels."""

    def __init__(self, weights):
        super().__init__()
        self._weights = weights

    def forward(self, x):
        return (x.mean(dim=(2, 3, 4)) * self._weights).sum(dim=1)


@pytest.mark.slow
def test_a_training_with_the_conditional_critic_runs_and_resumes(tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder, "try_to_draw", lambda *arguments: None)
    table(tmp_path, side=48)
    settings = {
        **GAN, **CONDITIONAL, "patches_per_subject": 1, "validation": {"patch": 24},
        "simulation": {"patch": 64, "factor": [2.0, 3.0], "zoom": [1.4, 1.6]},
    }  # fmt: skip
    train(make_config(values(tmp_path, epochs=1, **settings)))
    train(make_config(values(tmp_path, epochs=2, resume=True, **settings)))
    with (tmp_path / "run" / "log.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["epoch"] for row in rows] == ["1", "2"] and all(float(row["critic_loss"]) != 0 for row in rows)
    asked = {**settings, "compute": {"workers": 0, "simulation": "device"}, "output": str(tmp_path / "device")}
    with pytest.raises(ValueError, match="simulated on the device: the critic is told the slice spacing"):
        train(make_config(values(tmp_path, epochs=1, **asked)))


@pytest.fixture
def original(tmp_path):
    """A weight file of the original project, with generator and critic, written without Keras."""
    h5py = pytest.importorskip("h5py", reason="the keras extra is not installed")
    path = tmp_path / "original.h5"
    shutil.copy(Path(__file__).parents[1] / "models" / "data" / "original-plain.h5", path)
    rng = np.random.default_rng(0)
    with h5py.File(path, "a") as file:
        del file["DX"]
        shapes, inputs = {}, 2
        for number in range(1, 6):
            shapes[f"DX_conv_dis_{number}/kernel:0"] = (4, 4, 4, inputs, inputs := 3 * 2 ** (number - 1))
            shapes[f"DX_conv_dis_{number}/bias:0"] = (inputs,)
        shapes["dis_decision/kernel:0"] = (2, 2, 2, inputs, 1)
        for name, shape in shapes.items():
            file[f"DX/{name}"] = rng.normal(0, 0.1, shape).astype(np.float32)
        file["DX"].attrs["weight_names"] = [name.encode() for name in shapes]
    return path


ADVERSARIAL = {
    "patches_per_subject": 1,
    "network": {},
    "loss": {"adversarial": 1e-3, "critic_steps": 1, "critic_filters": 1},
    "validation": {"patch": 24},
    "simulation": {"patch": 64, "factor": [2.0, 3.0], "zoom": [1.4, 1.6]},
    "optimizer": {"batch": 2, "warmup": 0, "rate": 1e-6},
}


@pytest.mark.slow
def test_a_training_goes_on_from_the_originals_file_with_its_critic(folder, original):
    table(folder, side=48)
    model = load_checkpoint(train(make_config(values(folder, epochs=1, init=str(original), **ADVERSARIAL))))
    generator, critic = read_keras_file(original)[0], read_keras_critic(original)
    assert model.card.as_original and model.card.normalization.rule == "maximum"
    assert model.card.parent.startswith("original ")
    state = load_file(folder / "run" / "state.safetensors")
    for name, network in (("network", generator), ("critic", critic)):
        differences = [(state[f"{name}.{key}"] - value).abs().max() for key, value in network.state_dict().items()]
        assert 0 < max(differences) < 1e-5  # a step or two of the small rate away
    assert json.loads((folder / "run" / "config.json").read_text())["loss"]["critic_filters"] == 3
    train(make_config(values(folder, epochs=2, init=str(original), resume=True, **ADVERSARIAL)))


def test_the_critic_alone_can_come_from_the_originals_file(folder, original):
    table(folder, side=48)
    network = {"network": {"architecture": "generator", "options": {"filters": 1, "blocks": 1}}}
    train(make_config(values(folder, epochs=1, init_critic=str(original), **ADVERSARIAL | network)))
    state, critic = load_file(folder / "run" / "state.safetensors"), read_keras_critic(original)
    assert all((state[f"critic.{key}"] - value).abs().max() < 1e-5 for key, value in critic.state_dict().items())


def test_a_critic_of_other_channels_is_refused(folder, original):
    table(folder, side=48)
    network = {"network": {"architecture": "original", "options": {"filters": 1, "mask_channels": 1}}}
    with pytest.raises(ValueError, match="judges 2 channels, but this training has 3"):
        train(make_config(values(folder, init_critic=str(original), **ADVERSARIAL | network)))


def test_a_critic_to_start_from_needs_an_adversarial_loss(folder, original):
    with pytest.raises(ValueError, match="init_critic names a critic, but loss.adversarial is 0"):
        make_config(values(folder, init_critic=str(original)))
