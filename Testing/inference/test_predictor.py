"""Plans of a prediction: memory, the out-of-memory ladder, empty patches, the whole volume at once."""

from __future__ import annotations

import ctypes
import sys

import pytest
import torch

from SegSRGANLib.inference import memory_plan as plans
from SegSRGANLib.inference.forms.choice import inference_form
from SegSRGANLib.inference.memory_plan import Plan, first_plan, later_plans, peak_bytes
from SegSRGANLib.inference.predictor import PredictionOptions, predict_volume
from SegSRGANLib.networks.cascade import Cascade, CascadeConfig
from SegSRGANLib.networks.keras_segsrgan import KerasGenerator, KerasGeneratorConfig
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig
from SegSRGANLib.utils.memory import _cgroup_limit, available_memory, kept_heap

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


class Counting(torch.nn.Module):
    """Doubles the intensity, and has memory for so many voxels only."""

    multiple, minimum = 4, 8

    def __init__(self, limit: int = 1 << 60, message: str = "CUDA out of memory. Tried to allocate 2 GiB") -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.limit, self.message = limit, message
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, x):
        self.shapes.append(tuple(x.shape))
        if x.numel() > self.limit:
            raise RuntimeError(self.message)
        return torch.cat([2 * x, x], dim=1)


def _volume(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def test_the_ladder_goes_down_in_order():
    steps = list(later_plans(Plan(128, 4, CUDA, CUDA), Counting()))
    assert [(step.patch, step.batch, step.device.type, step.accumulate.type) for step in steps] == [
        (128, 2, "cuda", "cuda"),
        (128, 1, "cuda", "cuda"),
        (128, 1, "cuda", "cpu"),
        (64, 1, "cuda", "cpu"),
        (32, 1, "cuda", "cpu"),
        (128, 1, "cpu", "cpu"),
        (64, 1, "cpu", "cpu"),
        (32, 1, "cpu", "cpu"),
    ]


def test_a_whole_volume_that_does_not_fit_is_cut_into_patches():
    assert [step.patch for step in later_plans(Plan(0, 1, CPU, CPU), Counting())] == [128, 64, 32]


@pytest.mark.parametrize(
    "message",
    ["CUDA out of memory.", "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"],
)
def test_running_out_of_memory_only_costs_time(message):
    volume, network, record = _volume(64, 64, 64), Counting(32**3, message), {}
    result = predict_volume(network, volume, PredictionOptions(64, 0.5, batch=2, device="cpu"), record=record)
    assert torch.allclose(result[0], 2 * volume)
    assert len(record["fallbacks"]) == 2
    assert "patches of 64, 2 at once" in record["fallbacks"][0]
    assert record["plan"].startswith("patches of 32, 1 at once")


def test_too_little_memory_for_anything_is_said():
    with pytest.raises(MemoryError, match="not enough memory"):
        predict_volume(Counting(0), _volume(16, 16, 16), PredictionOptions(device="cpu"))


def test_other_errors_are_not_taken_for_memory():
    with pytest.raises(RuntimeError, match="size mismatch"):
        predict_volume(Counting(0, "size mismatch"), _volume(16, 16, 16), PredictionOptions(device="cpu"))


def test_a_plan_that_cannot_fit_is_not_tried(monkeypatch):
    monkeypatch.setattr(plans, "available_memory", lambda device: 250 << 20)
    network = Generator()
    assert first_plan(network, (200, 200, 200), 128, None).patch == 32  # the volume and the result alone take 160 MB
    monkeypatch.setattr(plans, "available_memory", lambda device: 1 << 40)
    assert first_plan(network, (200, 200, 200), 0, None).patch == 0
    monkeypatch.setattr(plans, "available_memory", lambda device: 0)
    assert first_plan(network, (64, 64, 64), 64, None).patch == 64  # nothing fits: the run itself will tell


def test_a_cascade_is_planned_with_its_map_of_the_whole_volume():
    narrow, wide = (
        peak_bytes(Plan(32, 1, CPU, CPU), Cascade(CascadeConfig(filters, 1, 1)), (400,) * 3)[CPU] for filters in (8, 64)
    )
    assert wide - narrow == 4 * (64 - 8) // 8 * 400**3


def test_empty_patches_are_not_computed():
    volume = torch.full((64, 16, 16), 0.25)
    volume[40:50, 4:12, 4:12] = _volume(10, 8, 8)
    network, record = Counting(), {}
    result = predict_volume(network, volume, PredictionOptions(16, 0.5, device="cpu"), record=record)
    assert (record["patches"], record["skipped"]) == (7, 4)
    assert len(network.shapes) == 3
    assert torch.allclose(result[:, :24], torch.stack([volume, 0 * volume])[:, :24])
    assert torch.allclose(result[0, 40:48], 2 * volume[40:48])


def test_an_empty_volume_has_a_result():
    result = predict_volume(Counting(), torch.zeros(32, 16, 16), PredictionOptions(16, 0.5, device="cpu"))
    assert result.shape == (2, 32, 16, 16) and not result.any()


@pytest.mark.parametrize(
    "network",
    [
        Generator(GeneratorConfig(4, 2)),
        KerasGenerator(KerasGeneratorConfig(3)),
        KerasGenerator(KerasGeneratorConfig(3, unet=True)),
    ],
    ids=["paper", "original", "original U-Net"],
)
def test_patch_zero_is_the_whole_volume_at_once(network):
    volume = _volume(24, 16, 12)
    with torch.no_grad():
        expected = network.eval()(volume[None, None])[0]
    result = predict_volume(network, volume, PredictionOptions(patch=0, device="cpu"))
    assert (result - expected).abs().max() < 1e-4


def test_predicted_memory_grows_with_what_is_asked_for():
    network, shape = Generator(), (200, 200, 200)

    def peak(*arguments) -> int:
        return sum(peak_bytes(Plan(*arguments, CPU, CPU), network, shape).values())

    assert peak(32, 1) < peak(64, 1) < peak(64, 4) < peak(128, 1)
    assert peak(0, 1) < peak(128, 4)
    held = peak_bytes(Plan(64, 8, CUDA, CPU), network, shape)
    assert held[CPU] == 20 * 200**3


def test_memory_of_a_container_or_job_is_what_its_groups_leave(tmp_path):
    """The narrowest of the groups around the process counts; cached files do not, for they give way."""

    def group(name, limit, used, cached):
        folder = tmp_path / "cgroup" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"anon {used - cached}\ninactive_file {cached}\n")

    own = tmp_path / "own"
    own.write_text("1:name=systemd:/x\n0::/slurm/job_7\n")
    group(".", "max", 900, 0)
    group("slurm", 500, 120, 20)
    group("slurm/job_7", 300, 250, 200)
    assert _cgroup_limit(tmp_path / "cgroup", own) == 250
    group("slurm", 500, 480, 20)
    assert _cgroup_limit(tmp_path / "cgroup", own) == 40
    own.write_text("0::/\n")  # as inside of a container
    assert _cgroup_limit(tmp_path / "cgroup", own) is None
    group(".", 1000, 900, 800)
    assert _cgroup_limit(tmp_path / "cgroup", own) == 900
    assert _cgroup_limit(tmp_path / "cgroup", tmp_path / "nowhere") == 900
    assert _cgroup_limit(tmp_path / "nowhere", tmp_path / "nowhere") is None


def test_predicted_memory_holds_every_class():
    """Beside the network: the volume, the weights of the blending, the intensity and each class, in 4 bytes each."""
    voxels = 64**3
    for classes in (3, 12):
        for network in (
            Generator(GeneratorConfig(2, 1, classes=classes)),
            Cascade(CascadeConfig(2, 1, 1, classes=classes)),
        ):
            assert peak_bytes(Plan(32, 1, CUDA, CPU), network, (64,) * 3)[CPU] == 4 * (3 + classes) * voxels
    small, large = (
        peak_bytes(Plan(64, 1, CPU, CPU), Generator(GeneratorConfig(16, 5, k)), (64,) * 3)[CPU] for k in (1, 9)
    )
    assert large - small > 8 * 4 * (7 + 1) * voxels  # the last convolution's seven taps, and the result


def test_available_memory_is_plausible():
    assert 1 << 20 < available_memory() < 1 << 50


def _resident() -> int:
    return int(open("/proc/self/statm").read().split()[1]) * 4096


@pytest.fixture
def _glibc():
    if sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"):
        pytest.skip("only glibc can be told to keep its heap")


def _freed_block_is_kept() -> bool:
    block = torch.ones(64 << 20, dtype=torch.uint8)
    before = _resident()
    del block
    return _resident() > before - (8 << 20)


@pytest.mark.usefixtures("_glibc")
def test_the_heap_is_kept_only_inside_the_block():
    with kept_heap():
        assert _freed_block_is_kept()
    assert not _freed_block_is_kept()


@pytest.mark.usefixtures("_glibc")
def test_a_block_within_another_does_not_end_it():
    with kept_heap():
        with kept_heap():
            assert _freed_block_is_kept()
        assert _freed_block_is_kept()
    assert not _freed_block_is_kept()


def test_the_record_says_how_it_was_done():
    record = {}
    predict_volume(Counting(), _volume(20, 20, 20), PredictionOptions(16, 0.5, device="cpu"), record=record)
    assert record["plan"] == "patches of 16, 1 at once, on cpu, result on cpu"
    assert record["patches"] == 8 and record["skipped"] == 0 and record["fallbacks"] == []
    assert record["predicted_peak_mb"] == {"cpu": 3}
    assert inference_form(Generator(GeneratorConfig(2, 1))).__class__.__name__ == "FastGenerator"
