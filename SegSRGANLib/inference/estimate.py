"""What a run will cost, before it starts: patches, seconds of each step, memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

import numpy as np
import SimpleITK as sitk
import torch

from ..data.grid import Grid
from ..models.brain_extractor import has_brain_extractor
from ..models.checkpoint import Model
from ..networks.image_network import ImageNetwork
from ..quality import preflight
from ..transforms.components import bounding_box
from ..utils.devices import choose_device
from ..utils.duration import in_words
from ..utils.memory import available_memory
from ..utils.triples import triple
from .memory_plan import Plan, first_plan, peak_bytes
from .options import EnhanceOptions
from .pace import remember_pace, seconds_per_megavoxel
from .patches import sliding_windows
from .refinement import FEWEST_CLASSES

# Seconds of one CPU core for a million voxels of the result (2.3 to 9.5 million voxels, simulated and real scans)
_RATES = {"interpolation": 0.13, "composition": 0.006, "consistency": 0.024, "refinement": 0.25, "quality": 0.15}
_BIAS, _SEARCH = 1.0, 2.0  # s for a million voxels of the result; s for finding the brain
_WRITING, _PAGE = (0.5, 0.15), (0.6, 0.05)  # s, and s for a million voxels: files with picture, page
_BRAIN = (116.0, 136.0, 106.0)  # mm: the box of a brain that is still to be found, with its margin
_MARGIN = 8.0  # mm around a mask that the network sees, see `prepared_scan`
_BRAIN_SHARE = 0.6  # of its box, at most
_MIXTURES, _NEIGHBOURS = 3, 24  # of the refinement: float32 arrays of all classes, and bytes of indices a voxel
_FEW_SKIPPED = 0.2  # of the patches
_IMAGES = 4  # float32 on the whole output grid, beside the classes' probabilities: interpolated, result, temporary


@dataclass(frozen=True)
class Estimate:
    """What a run will cost. patches: of one run of the network. seconds: by the steps of `enhance`, in their order.
    writing, page: seconds for the files, and for the page where there is one. memory: bytes at the peak."""

    patches: int
    seconds: dict[str, float]
    writing: float
    page: float
    memory: int

    def share(self, page: bool) -> float:
        """The share of `enhance` in the time for everything."""
        computing = sum(self.seconds.values())
        return computing / (computing + self.writing + (self.page if page else 0.0))

    def words(self, page: bool) -> str:
        """For instance "8 patches, about 2 min, 1.2 GB of memory"."""
        total = sum(self.seconds.values()) + self.writing + (self.page if page else 0.0)
        patches = f"{self.patches} patch" + ("es" if self.patches > 1 else "")
        return f"{patches}, about {in_words(total)}, {max(self.memory / 1e9, 0.1):.1f} GB of memory"


def estimate(grid: Grid, model: Model, mask: sitk.Image | str | None, options: EnhanceOptions) -> Estimate:
    """Estimate a run on this machine; from how long the network took the last time, or from one timed patch.

    Args:
        grid: of the scan. model: see `load_model`; it is moved to the chosen device. mask, options: see `enhance`.

    Raises:
        ValueError: an output grid that makes no sense or does not fit, see `check_fits`.
    """
    output, options = options.output(grid, model.card), options.for_model(model.card)
    check_fits(output, len(model.classes))
    network = model.network.to(choose_device(options.prediction.device))
    region = region_of(grid, output, None if options.as_original else mask)
    patches, _, plan = _patches(network, region, options)
    millions = prod(output.size) / 1e6
    seconds = {
        "mask": _SEARCH if has_brain_extractor() else 0.01,
        "bias correction": _BIAS * millions if options.bias_correction else 0.0,
        "interpolation": _RATES["interpolation"] * millions,
        "prediction": prediction_seconds(network, region, options),
        **{name: _RATES[name] * millions for name in ("composition", "consistency", "refinement", "quality")},
    }
    refined = options.refinement and len(model.classes) >= FEWEST_CLASSES
    seconds["refinement"] *= refined
    network_bytes = sum(peak_bytes(plan, network, region).values())
    refinement_bytes = _BRAIN_SHARE * prod(region) * (_MIXTURES * 4 * (1 + len(model.classes)) + _NEIGHBOURS)
    return Estimate(
        patches,
        seconds,
        _WRITING[0] + _WRITING[1] * millions,
        _PAGE[0] + _PAGE[1] * millions,
        int(max(network_bytes, refined * refinement_bytes)) + _image_bytes(output, len(model.classes)),
    )


def plan_line(
    grid: Grid,
    model: Model,
    mask: sitk.Image | str | None,
    options: EnhanceOptions,
    page: bool,
    cost: Estimate | None = None,
) -> str:
    """What a run will do, in one line: voxels in and out, mask, patches, time and memory.

    Args:
        grid: of the scan, or of the first stack. model, mask, options: see `estimate`.
        page: whether there will be one. cost: where it is known, as for several stacks.

    Raises:
        ValueError: see `estimate`.
    """
    words = {"auto": "mask found by the program", "none": "no mask", None: "no mask"}
    masked = words[mask] if mask is None or isinstance(mask, str) else "mask given"
    cost = cost or estimate(grid, model, mask, options)
    device = choose_device(options.prediction.device).type
    place = {"cpu": "the CPU", "cuda": "the GPU", "mps": "the GPU"}.get(device, device)
    line = preflight.describe(grid, options.output(grid, model.card))
    return f"{line}, {masked}, {cost.words(page)}, on {place}"


def check_fits(output: Grid, classes: int) -> None:
    """Refuse a result whose images alone are larger than the memory.

    Raises:
        ValueError: they are.
    """
    needed, free = _image_bytes(output, classes), available_memory("cpu")
    if needed > free:
        size = " x ".join(map(str, output.size))
        raise ValueError(
            f"A result of {size} voxels needs {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free; "
            "choose a coarser output spacing, or crop the scan."
        )


def prediction_seconds(network: ImageNetwork, shape: tuple[int, int, int], options: EnhanceOptions) -> float:
    """How long all runs of the network over a region (z, y, x) take; see `seconds_per_megavoxel`."""
    voxels = _all_voxels(network, shape, options)
    return voxels / 1e6 * seconds_per_megavoxel(network, voxels, options.prediction.precision)


def remember_prediction(
    network: ImageNetwork, shape: tuple[int, int, int], options: EnhanceOptions, seconds: float, skipped: float
) -> None:
    """Keep how long all runs of the network over a region (z, y, x) took, for later estimates.

    Args:
        network, shape, options: see `prediction_seconds`. seconds: that it took. skipped: share of flat patches, which
            cost nothing; with many of them the time says little.
    """
    if skipped < _FEW_SKIPPED:
        remember_pace(network, _all_voxels(network, shape, options), options.prediction.precision, seconds)


def _all_voxels(network: ImageNetwork, shape: tuple[int, int, int], options: EnhanceOptions) -> int:
    """That all runs predict; those in two patches count twice."""
    return max(1, options.uncertainty) * _patches(network, shape, options)[1]


def _patches(network: ImageNetwork, shape: tuple[int, ...], options: EnhanceOptions) -> tuple[int, int, Plan]:
    """Number of patches of a region (z, y, x), their voxels together, and how they will be predicted."""
    padded = triple(ceil(max(network.minimum, n) / network.multiple) * network.multiple for n in shape)
    if getattr(network, "patchless", False):
        return 1, prod(padded), Plan(0, 1, next(network.parameters()).device, torch.device("cpu"))
    plan = first_plan(network, padded, options.prediction.patch, options.prediction.batch)
    sides = triple(min(plan.patch, n) if plan.patch else n for n in padded)
    count = len(sliding_windows(padded, sides, options.prediction.overlap)) if plan.patch else 1
    return count, count * prod(sides), plan


def region_of(grid: Grid, output: Grid, mask: sitk.Image | str | None) -> tuple[int, int, int]:
    """What the network will see, (z, y, x) voxels of the result: around a given mask, a brain to be found, or all."""
    extent: Sequence[float] = output.extent
    if mask == "auto":
        extent = _BRAIN
    elif isinstance(mask, sitk.Image):
        array = sitk.GetArrayViewFromImage(mask) != 0
        if array.any() and Grid.of(mask).same_direction(grid):
            sides = [part.stop - part.start for part in bounding_box(np.asarray(array))][::-1]
            extent = [n * s + 2 * _MARGIN for n, s in zip(sides, mask.GetSpacing(), strict=True)]
    x, y, z = (min(size, max(1, ceil(e / s))) for size, e, s in zip(output.size, extent, output.spacing, strict=True))
    return z, y, x


def _image_bytes(output: Grid, classes: int) -> int:
    return 4 * (_IMAGES + classes) * prod(output.size)
