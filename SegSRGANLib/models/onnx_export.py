"""A model's network in the Open Neural Network Exchange format, compared with ours before it is written."""

from __future__ import annotations

import json
import logging
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..utils.atomic_files import atomic_path
from ..utils.errors import CheckpointError
from ..utils.optional import require
from .checkpoint import Model

_OPSET = 18
_TRACED, _COMPARED = (2, 3, 4), (3, 2, 5)  # sides of the two patches, in the network's `minimum`
_MOST_DIFFERENCE = 1e-3  # of intensities in [0, 1]; float32 through 30 layers in another order is below 1e-4


def export_onnx(model: Model, path: str | Path, seed: int = 0) -> float:
    """Write the network of a model as ONNX, with its description as metadata.

    Args:
        model: on the CPU.
        path: the .onnx file; an existing one is replaced.
        seed: of the random patch that both networks get.

    Returns:
        The largest absolute difference between ONNX Runtime's output and ours, on a patch of other sides than traced.

    Raises:
        MissingPackage: onnx, onnxscript or onnxruntime is not installed.
        CheckpointError: the exported network computes something else; nothing is written.
    """
    onnx, runtime = require("onnx", extra="onnx"), require("onnxruntime", extra="onnx")
    require("onnxscript", extra="onnx")
    channels = getattr(model.network.config, "in_channels", 1)
    with atomic_path(path) as temporary:
        _trace(model.network, channels, temporary)
        written = onnx.load(str(temporary))
        onnx.helper.set_model_props(written, {"segsrgan": json.dumps(_description(model))})
        onnx.checker.check_model(written)
        onnx.save(written, str(temporary))
        difference = _difference(model.network, runtime.InferenceSession(str(temporary)), channels, seed)
        if not difference <= _MOST_DIFFERENCE:
            raise CheckpointError(
                f"The exported network differs from the model by {difference:.2g}, and was not written; "
                "another version of torch may export it."
            )
    return difference


def _trace(network: torch.nn.Module, channels: int, path: Path) -> None:
    """Export with free depth, height and width."""
    sides = {
        axis: network.multiple * torch.export.Dim(name, min=2, max=512)
        if network.multiple > 1  # ty: ignore[unsupported-operator]
        else torch.export.Dim(name, min=2, max=512)
        for axis, name in ((2, "d"), (3, "h"), (4, "w"))
    }
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's exporter, about itself
        torch.onnx.export(
            network,
            (_patch(network, channels, _TRACED, seed=0),),
            str(path),
            input_names=["volume"],
            output_names=["sr"],
            dynamic_shapes=(sides,),
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _patch(network: torch.nn.Module, channels: int, sides: tuple[int, ...], seed: int) -> torch.Tensor:
    least: int = max(network.minimum, 2)  # ty: ignore[invalid-argument-type]
    shape = (1, channels, *(side * least for side in sides))
    return torch.from_numpy(np.random.default_rng(seed).random(shape, dtype=np.float32))


def _description(model: Model) -> dict[str, Any]:
    """What a program needs to know to use the file."""
    return {
        "card": asdict(model.card),
        "classes": list(model.classes),
        "multiple": model.network.multiple,
        "minimum": model.network.minimum,
        "sha256": model.sha256,
    }


def _difference(network: torch.nn.Module, session: Any, channels: int, seed: int) -> float:
    patch = _patch(network, channels, _COMPARED, seed)
    with torch.inference_mode():
        ours = network(patch).numpy()
    (theirs,) = session.run(None, {"volume": patch.numpy()})
    return float(np.abs(ours - theirs).max()) if ours.shape == theirs.shape else float("inf")
