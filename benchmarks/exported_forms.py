"""The same network in other engines, for comparison only: OpenVINO, and ONNX Runtime through ONNX.

    pip install openvino onnxruntime onnx

An engine that is not installed, or that cannot take the network, is left out with its reason.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

Form = Callable[[torch.Tensor], torch.Tensor]


def openvino_form(network: nn.Module, side: int, precision: str) -> Form:
    """Patches (1, 1, side, side, side) through OpenVINO; precision: "f32" or "bf16".

    Through ONNX: converting the modules themselves ended the process (OpenVINO 2026, torch 2.13).
    """
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        model = openvino.Core().read_model(_exported(network, side, Path(folder)))
        settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
        compiled = openvino.Core().compile_model(model, "CPU", settings)
    return lambda x: torch.from_numpy(compiled(x.numpy())[0])


def onnx_runtime_form(network: nn.Module, side: int) -> Form:
    """Patches (1, 1, side, side, side) through ONNX Runtime, float32."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        content = _exported(network, side, Path(folder)).read_bytes()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(None, {"x": x.numpy()})[0])


def _exported(network: nn.Module, side: int, folder: Path) -> Path:
    path = folder / "network.onnx"
    torch.onnx.export(network, (torch.rand(1, 1, side, side, side),), path, input_names=["x"], dynamo=False)
    return path


ENGINES: dict[str, Callable[[nn.Module, int], Form]] = {
    "OpenVINO, float32": lambda network, side: openvino_form(network, side, "f32"),
    "OpenVINO, bfloat16": lambda network, side: openvino_form(network, side, "bf16"),
    "ONNX Runtime, float32": onnx_runtime_form,
}
