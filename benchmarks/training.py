"""What a training costs: seconds per step, memory, and the projected hours of the paper's training.

    python benchmarks/training.py [--device cuda] [--preset paper] [--steps 10]

Steps run on random patches; the simulation of patches is timed on its own, as it runs beside the steps.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from itertools import cycle

import numpy as np
import SimpleITK as sitk
import torch

from SegSRGANLib.datasets.phantom import neonatal_phantom
from SegSRGANLib.training.config import TrainingConfig, make_config
from SegSRGANLib.training.data.patch_simulation import simulate_patch
from SegSRGANLib.training.data.subject import Subject
from SegSRGANLib.training.setup import make_network
from SegSRGANLib.training.step import Engine, make_fabric
from SegSRGANLib.utils.memory import kept_heap

# Pham et al., ISBI 2019: 32 training volumes of the dHCP, 200 epochs
PAPER_VOLUMES = 32


@kept_heap()
def main() -> None:
    arguments = parse()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    config = configure(arguments)
    seconds, memory = time_steps(config, arguments.steps)
    simulation = time_simulation(config)
    steps = config.epochs * PAPER_VOLUMES * config.patches_per_subject / config.optimizer.batch
    draws = config.optimizer.batch * (1 + config.loss.critic_steps * (config.loss.adversarial > 0))
    result = {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() and arguments.device != "cpu" else "cpu",
        "threads": torch.get_num_threads(),
        "preset": arguments.preset,
        "network": {"architecture": config.network.architecture, **config.network.options},
        "batch": config.optimizer.batch,
        "patch": config.simulation.patch,
        "precision": config.optimizer.precision,
        "channels_last": config.compute.channels_last,
        "seconds_per_step": round(seconds, 3),
        "peak_memory_gib": round(memory, 2),
        "simulation_seconds_per_patch": round(simulation, 3),
        "workers_that_keep_up": max(1, int(np.ceil(simulation * draws / seconds))),
        "steps_of_the_papers_training": int(steps),
        "projected_hours": round(steps * seconds / 3600, 1),
    }
    print(json.dumps(result, indent=2))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--architecture", default="generator")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--patch", type=int, default=64)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--steps", type=int, default=10)
    return parser.parse_args()


def configure(arguments: argparse.Namespace) -> TrainingConfig:
    optimizer = {"precision": arguments.precision} | ({"batch": arguments.batch} if arguments.batch else {})
    values = {
        "output": "unused",
        "csv": "unused",
        "label": 1,
        "device": arguments.device,
        "preset": arguments.preset,
        "network": {"architecture": arguments.architecture},
        "optimizer": optimizer,
        "simulation": {"patch": arguments.patch},
        "compute": {"channels_last": arguments.channels_last},
    }
    if arguments.preset != "paper":
        values |= {"epochs": 200, "patches_per_subject": 400}
    return make_config(values)


def time_steps(config: TrainingConfig, steps: int) -> tuple[float, float]:
    """Median seconds of a step, and the peak memory in GiB (of the GPU, else of this process)."""
    fabric = make_fabric(config)
    engine = Engine(config, make_network(config, None), fabric)
    side, batch = config.simulation.patch, config.optimizer.batch
    stream = cycle([[torch.rand(batch, channels, side, side, side) for channels in (1, 2)]])
    gpu = fabric.device.type == "cuda"
    times = []
    for step in range(steps + 2):
        started = time.perf_counter()
        engine.step(stream, step, 0.0)
        if gpu:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    peak = torch.cuda.max_memory_allocated() if gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return statistics.median(times[2:]), peak / 2**30


def time_simulation(config: TrainingConfig) -> float:
    """Seconds for one patch, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    phantom = neonatal_phantom()
    intensity = sitk.GetArrayFromImage(phantom.t2w).astype(np.float32)
    labels = sitk.GetArrayFromImage(phantom.labels)
    subject = Subject("phantom", intensity / intensity.max(), labels, {"cortex": (5,)}, phantom.labels.GetSpacing()[0])
    simulate_patch(subject, config.simulation, np.random.default_rng(0))
    started = time.perf_counter()
    for seed in range(10):
        simulate_patch(subject, config.simulation, np.random.default_rng(seed))
    torch.set_num_threads(threads)
    return (time.perf_counter() - started) / 10


if __name__ == "__main__":
    main()
