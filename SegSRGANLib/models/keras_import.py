"""Reading the original project's weight files (HDF5 written by Keras 2), without Keras or TensorFlow.

Such a file has one group per top-level layer. The generator's group says by its name which variant it is: `G`,
`G_cond`, `G_unet` or `G_unet_cond`, with `_nn_residual` when it is not residual. Its attribute `weight_names` lists
the weights, for instance `G_gen_block1_conv_a/kernel:0`.

HDF5 can point to other files, to itself and to terabytes that are not there. Only what is expected is read: plain
links inside this file, and arrays whose shape was checked before.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..networks.image_network import ImageNetwork
from ..networks.keras_segsrgan import KerasGenerator, KerasGeneratorConfig
from ..transforms.normalization import Normalization
from ..utils.errors import CheckpointError
from ..utils.optional import require
from .card import ModelCard
from .header import is_keras_file

_GROUP = re.compile(r"G(?P<unet>_unet)?(?P<conditional>_cond)?(?P<plain>_nn_residual)?")
_GENERATOR_WEIGHT = re.compile(r"(?:.*/)?[^/]*?_gen_([^/]+)/(kernel|scale|shift)(?::0)?")
_MOST_NAMES = 1000
_LAYERS = {
    "conv1": "conv1",
    "norm1": "isnorm_conv1",
    "conv2": "conv2",
    "norm2": "isnorm_conv2",
    "conv3": "conv3",
    "norm3": "isnorm_conv3",
    "up1": "deconv1",
    "norm_up1": "isnorm_deconv1",
    "up2": "deconv2",
    "norm_up2": "isnorm_deconv2",
    "output": "1conv",
}
_BLOCK_LAYERS = {"conv_a": "conv_a", "norm_a": "isnorm_a", "conv_b": "conv_b", "norm_b": "isnorm_b"}


def read_keras_file(path: str | Path, card: ModelCard = ModelCard()) -> tuple[KerasGenerator, ModelCard]:  # noqa: B008
    """Read a generator of the original project.

    Its tensors are (x, y, z) and ours (z, y, x), so the kernels' axes are reversed as well.

    Args:
        path: a weight file, as the original's `save_weights` wrote it.
        card: what is known of the model; the intensity scale becomes the original's, the maximum, and
            it is run as there, see `EnhanceOptions.as_original`.

    Returns:
        The generator, in evaluation mode, and its card.

    Raises:
        CheckpointError: a damaged, foreign or hostile file, or a weight that does not fit; it says which.
        MissingPackage: h5py is not installed.
    """
    path = Path(path)
    with keras_file(path) as file:
        network = _read_generator(path, file)
    return network.eval(), replace(card, normalization=Normalization("maximum"), as_original=True)


@contextmanager
def keras_file(path: Path) -> Generator[Any]:
    """Open a weight file of the original project.

    Raises:
        CheckpointError: no such file, or what is read from it inside the block is damaged.
        MissingPackage: h5py is not installed.
    """
    h5py = require("h5py", extra="keras")
    if not path.is_file():
        raise CheckpointError(f"There is no weight file {path}.")
    if not is_keras_file(path):
        raise CheckpointError(f"{path.name} is not an HDF5 file; the original project's weights are.")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except CheckpointError:
        raise
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path.name} is truncated or damaged ({_first_line(error)}).") from error


def _read_generator(path: Path, file: Any) -> KerasGenerator:
    group_name, flags = _find_group(path, file)
    weights = Weights(path, member(path, file, group_name), _GENERATOR_WEIGHT)
    first, last = weights.array("conv1", "kernel").shape, weights.array("1conv", "kernel").shape
    if len(first) != 5 or len(last) != 5:
        raise CheckpointError(f"{path.name}: the kernels of {group_name} are not three-dimensional: {first}, {last}.")
    try:
        config = KerasGeneratorConfig(first[4], mask_channels=last[4] - 2, **flags)
    except ValueError as error:
        raise CheckpointError(f"{path.name} cannot be a generator of the original project: {error}") from error
    network = KerasGenerator(config)
    names = dict(_keras_names(network))
    unknown = weights.paths.keys() - set(names.values())
    if unknown:
        raise CheckpointError(f"{path.name}: {group_name} holds an unknown weight, {'/'.join(min(unknown))}.")
    state = network.state_dict()
    for key, (layer, kind) in names.items():
        state[key] = weights.tensor(layer, kind, state[key].shape)
    network.load_state_dict(state)
    return network


def _find_group(path: Path, file: Any) -> tuple[str, dict[str, bool]]:
    """Name of the generator's group, and the variant that it stands for."""
    matches = [match for name in file if (match := _GROUP.fullmatch(name))]
    if len(matches) != 1:
        found = ", ".join(sorted(file)[:8]) or "nothing"
        raise CheckpointError(
            f"{path.name} should hold one generator (a group G, G_cond, G_unet ...), but has {found}."
        )
    match = matches[0]
    return match[0], {
        "unet": bool(match["unet"]),
        "conditional": bool(match["conditional"]),
        "residual": not match["plain"],
    }


class Weights:
    """The weights in a network's group, by layer and kind, such as ("conv1", "kernel").

    pattern: of a weight's name; its groups are layer and kind.
    """

    def __init__(self, path: Path, group: Any, pattern: re.Pattern[str]) -> None:
        self._path, self._group = path, group
        self.paths: dict[tuple[str, str], str] = {}
        for name in _weight_names(path, group):
            match = pattern.fullmatch(name)
            if match is None:
                raise CheckpointError(f"{path.name}: {name!r} is not a weight of the original's {group.name[1:]}.")
            self.paths[match[1], match[2]] = name

    def array(self, layer: str, kind: str) -> Any:
        """One weight, not read yet: made of floats, and stored inside this file."""
        what = f"{self._path.name}: the weight {layer}/{kind}"
        if (layer, kind) not in self.paths:
            raise CheckpointError(f"{what} is missing.")
        dataset = self._group
        for part in self.paths[layer, kind].split("/"):
            dataset = member(self._path, dataset, part)
        if not hasattr(dataset, "dtype") or dataset.dtype.kind != "f" or dataset.shape is None:
            raise CheckpointError(f"{what} is not an array of numbers.")
        if dataset.external or dataset.is_virtual or prod(dataset.chunks or (0,)) > dataset.size:
            raise CheckpointError(f"{what} is not stored inside the file as a plain array.")
        return dataset

    def read(self, layer: str, kind: str, shape: tuple[int, ...]) -> np.ndarray:
        """One weight as float32, after its shape was compared."""
        dataset = self.array(layer, kind)
        if dataset.shape != shape:
            raise CheckpointError(
                f"{self._path.name}: the weight {layer}/{kind} has shape {dataset.shape}, but {shape} is needed."
            )
        values = dataset[()].astype(np.float32)
        if not np.isfinite(values).all():
            raise CheckpointError(f"{self._path.name}: the weight {layer}/{kind} holds values that are not finite.")
        return values

    def tensor(self, layer: str, kind: str, shape: Sequence[int]) -> torch.Tensor:
        """One weight as our networks have it, of `shape`: the original's axes are (x, y, z, in, out)."""
        axes = tuple(reversed(range(len(shape))))
        return torch.from_numpy(self.read(layer, kind, tuple(shape[axis] for axis in axes))).permute(axes)


def _weight_names(path: Path, group: Any) -> Iterator[str]:
    """The attribute `weight_names`, which Keras splits into weight_names0, weight_names1 ... when it is long."""
    attributes = [name for name in group.attrs if re.fullmatch(r"weight_names\d{0,3}", name)]
    if not attributes:
        raise CheckpointError(f"{path.name}: the group {group.name} has no list of its weights (weight_names).")
    for attribute in attributes:
        if prod(group.attrs.get_id(attribute).shape) > _MOST_NAMES:
            raise CheckpointError(f"{path.name}: the group {group.name} lists too many weights.")
        for name in np.atleast_1d(group.attrs[attribute]):
            yield name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def _keras_names(network: ImageNetwork) -> Iterator[tuple[str, tuple[str, str]]]:
    """For each of our weights, the original's layer and kind of weight."""
    for key in network.state_dict():
        *parents, layer, kind = key.split(".")
        original = f"{_block_name(network, parents)}_{_BLOCK_LAYERS[layer]}" if parents else _LAYERS[layer]
        names = {"weight": "scale", "bias": "shift"} if layer.startswith("norm") else {"weight": "kernel"}
        yield key, (original, names[kind])


def _block_name(network: ImageNetwork, parents: list[str]) -> str:
    """The original numbers its blocks 1 to 6; in a U-Net they are "", 1 and 2, from the finest level down."""
    if parents[0] != "blocks":
        return {"block_full": "block", "block_half": "block1"}[parents[0]]
    return "block2" if network.config.unet else f"block{int(parents[1]) + 1}"


def member(path: Path, group: Any, name: str) -> Any:
    """A member of a group, unless it is a link to somewhere else."""
    link = group.get(name, getlink=True) if hasattr(group, "keys") and name else None
    if link is None:
        raise CheckpointError(f"{path.name}: {group.name} has no member {name!r}.")
    if type(link).__name__ != "HardLink":
        raise CheckpointError(f"{path.name}: {group.name}/{name} is a link to elsewhere; such files are refused.")
    return group[name]


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
