"""A network in the Open Neural Network Exchange format, compared with ours before it is written."""

from __future__ import annotations

import json
import logging
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..networks.brain_extractor import SPACING
from ..utils.atomic_files import atomic_path
from ..utils.errors import CheckpointError
from ..utils.optional import require
from .brain_extractor import bundled_brain_extractor, load_brain_extractor
from .checkpoint import Model

_OPSET = 18
_TRACED, _COMPARED = (2, 3, 4), (3, 2, 5)  # sides of the two patches, in the network's `minimum`
_MOST_DIFFERENCE = 1e-3  # of intensities in [0, 1]; float32 through 30 layers in another order is below 1e-4


@dataclass(frozen=True)
class _Source:
    """What is exported. channels: of its input. multiple, minimum: of the input's sides, voxels. output: its name."""

    network: torch.nn.Module
    channels: int
    multiple: int
    minimum: int
    output: str
    description: dict[str, Any]


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
    network: Any = model.network
    sides = {"multiple": network.multiple, "minimum": network.minimum}
    described = {"card": asdict(model.card), "classes": list(model.classes), **sides, "sha256": model.sha256}
    channels = getattr(network.config, "in_channels", 1)
    return _export(_Source(network, channels, **sides, output="sr", description=described), path, seed)


def export_brain_extractor(path: str | Path, seed: int = 0) -> float:
    """Write the bundled brain extractor as ONNX; see `export_onnx`.

    Raises:
        CheckpointError: there is none, or as for `export_onnx`.
    """
    network, entry = load_brain_extractor(torch.device("cpu")), bundled_brain_extractor()
    multiple = network.config.multiple
    described = {"card": entry, "spacing_mm": SPACING, "multiple": multiple, "minimum": multiple}
    return _export(_Source(network, 1, multiple, multiple, "brain_logit", described), path, seed)


def _export(source: _Source, path: str | Path, seed: int) -> float:
    onnx, runtime = require("onnx", extra="onnx"), require("onnxruntime", extra="onnx")
    require("onnxscript", extra="onnx")
    with atomic_path(path) as temporary:
        _trace(source, temporary)
        written = onnx.load(str(temporary))
        onnx.helper.set_model_props(written, {"segsrgan": json.dumps(source.description)})
        onnx.checker.check_model(written)
        onnx.save(written, str(temporary))
        difference = _difference(source, runtime.InferenceSession(str(temporary)), seed)
        if not difference <= _MOST_DIFFERENCE:
            raise CheckpointError(
                f"The exported network differs from the model by {difference:.2g}, and was not written; "
                "another version of torch may export it."
            )
    return difference


def _trace(source: _Source, path: Path) -> None:
    """Export with free depth, height and width."""
    free = {axis: torch.export.Dim(name, min=2, max=512) for axis, name in ((2, "d"), (3, "h"), (4, "w"))}
    sides = {axis: source.multiple * side if source.multiple > 1 else side for axis, side in free.items()}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's exporter, about itself
        torch.onnx.export(
            source.network,
            (_patch(source, _TRACED, seed=0),),
            str(path),
            input_names=["volume"],
            output_names=[source.output],
            dynamic_shapes=(sides,),
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _patch(source: _Source, sides: tuple[int, ...], seed: int) -> torch.Tensor:
    shape = (1, source.channels, *(side * max(source.minimum, 2) for side in sides))
    return torch.from_numpy(np.random.default_rng(seed).random(shape, dtype=np.float32))


def _difference(source: _Source, session: Any, seed: int) -> float:
    patch = _patch(source, _COMPARED, seed)
    with torch.inference_mode():
        ours = source.network(patch).numpy()
    (theirs,) = session.run(None, {"volume": patch.numpy()})
    return float(np.abs(ours - theirs).max()) if ours.shape == theirs.shape else float("inf")
