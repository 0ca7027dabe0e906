"""The critic in a weight file of the original project: its group `DX`, or `DX_cond` beside a conditional generator.

The original starts a training with both, the generator and the critic of its file. See `keras_import` for what is read
of such files and what is refused.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..networks.segsrgan import Discriminator, DiscriminatorConfig
from ..utils.errors import CheckpointError
from .keras_import import Weights, keras_file, member

_GROUPS = ("DX", "DX_cond")
_WEIGHT = re.compile(r"(?:.*/)?(?:[^/]*_)?(conv_dis_[1-5]|dis_decision)/(kernel|bias)(?::0)?")
_LAYERS = (*(f"conv_dis_{number}" for number in range(1, 6)), "dis_decision")


def read_keras_critic(path: str | Path) -> Discriminator:
    """Read the critic of the original project.

    The original pads "same", which for its kernels of 4 and strides of 2 is one voxel on each side, as here. Its last
    convolution has no bias; ours is zero, and stays so, for what the critic makes small does not depend on it.

    Args:
        path: a weight file, as the original's `save_weights` wrote it.

    Raises:
        CheckpointError: a damaged, foreign or hostile file, or one without a critic; it says which.
        MissingPackage: h5py is not installed.
    """
    path = Path(path)
    with keras_file(path) as file:
        return _read(path, file)


def _read(path: Path, file: Any) -> Discriminator:
    groups = [name for name in _GROUPS if name in file]
    if len(groups) != 1:
        raise CheckpointError(f"{path.name} should hold one critic (a group {' or '.join(_GROUPS)}), and does not.")
    weights = Weights(path, member(path, file, groups[0]), _WEIGHT)
    first = weights.array(_LAYERS[0], "kernel").shape
    if len(first) != 5 or first[:3] != (4, 4, 4):
        raise CheckpointError(f"{path.name}: the first kernel of {groups[0]} has shape {first}, not 4 x 4 x 4.")
    try:
        critic = Discriminator(DiscriminatorConfig(filters=first[4], channels=first[3]))
    except ValueError as error:
        raise CheckpointError(f"{path.name} cannot hold a critic of the original project: {error}") from error
    state = critic.state_dict()
    for layer, key in zip(_LAYERS, [key for key in state if key.endswith("weight")], strict=True):
        state[key] = weights.tensor(layer, "kernel", state[key].shape)
        bias = key.removesuffix("weight") + "bias"
        state[bias] = state[bias].zero_() if layer == _LAYERS[-1] else weights.tensor(layer, "bias", state[bias].shape)
    critic.load_state_dict(state)
    return critic
