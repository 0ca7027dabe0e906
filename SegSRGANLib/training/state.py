"""The whole state of a training in one safetensors file, to go on exactly where it stopped. Nothing is pickled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from ..utils.atomic_files import atomic_path

_KEY = "segsrgan-training"

Parts = dict[str, "nn.Module | torch.optim.Optimizer"]


def save_state(path: Path, parts: Parts, facts: dict[str, Any]) -> None:
    """Write modules and optimizers, atomically.

    Args:
        path: a .safetensors file.
        parts: by name.
        facts: JSON values to keep with them.
    """
    tensors: dict[str, torch.Tensor] = {}
    groups = {}
    for name, part in parts.items():
        if isinstance(part, nn.Module):
            tensors.update({f"{name}.{key}": value for key, value in part.state_dict().items()})
        else:
            state = part.state_dict()
            groups[name] = state["param_groups"]
            for index, values in state["state"].items():
                tensors.update({f"{name}.{index}.{key}": torch.as_tensor(value) for key, value in values.items()})
    tensors = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {_KEY: json.dumps({"facts": facts, "groups": groups})})


def load_state(path: Path, parts: Parts) -> dict[str, Any]:
    """Fill modules and optimizers from a file of `save_state`.

    Returns:
        The facts.

    Raises:
        ValueError: a damaged file, or one of another training.
    """
    try:
        with safe_open(path, framework="pt") as file:
            description = json.loads((file.metadata() or {})[_KEY])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        for name, part in parts.items():
            own = {key[len(name) + 1 :]: value for key, value in tensors.items() if key.startswith(f"{name}.")}
            if isinstance(part, nn.Module):
                part.load_state_dict(own)
            else:
                part.load_state_dict({"state": _by_parameter(own), "param_groups": description["groups"][name]})
    except (SafetensorError, OSError, KeyError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path} is not the state of this training, or is damaged ({reason}).") from error
    return description["facts"]


def _by_parameter(tensors: dict[str, torch.Tensor]) -> dict[int, dict[str, torch.Tensor]]:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    return state
