"""A network in ONNX computes what ours does, and an export that does not is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from support.tracing import exporter_untraced  # noqa: F401 (a fixture)
from typer.testing import CliRunner

from SegSRGANLib.cli.models import app
from SegSRGANLib.models import onnx_export
from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import load_checkpoint, save_checkpoint
from SegSRGANLib.networks.brain_extractor import BrainExtractor, BrainExtractorConfig
from SegSRGANLib.networks.cascade import Cascade, CascadeConfig
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig
from SegSRGANLib.utils.errors import CheckpointError

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
runtime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("onnxscript", reason="needs the extra onnx")

pytestmark = pytest.mark.usefixtures("exporter_untraced")
NETWORKS = {
    "paper": lambda: Generator(GeneratorConfig(2, 1)),
    "cascade": lambda: Cascade(CascadeConfig(4, 1, levels=2)),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", NETWORKS)
def test_the_export_computes_the_same_at_every_size(kind, tmp_path):
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "model.safetensors", NETWORKS[kind](), ModelCard(title="Tiny", licence="CC0"))
    done = CliRunner().invoke(app, ["export", str(tmp_path / "model.safetensors"), "-o", str(tmp_path / "model.onnx")])
    assert done.exit_code == 0, done.output
    network = load_checkpoint(tmp_path / "model.safetensors").network
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"))
    patch = np.random.default_rng(3).random((1, 1, 24, 40, 32), dtype=np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(patch)).numpy()
    assert np.abs(session.run(None, {"volume": patch})[0] - expected).max() < 1e-4
    described = json.loads(session.get_modelmeta().custom_metadata_map["segsrgan"])
    assert described["card"]["licence"] == "CC0" and described["multiple"] == network.multiple


@pytest.mark.slow
def test_the_brain_extractor_is_exported(tmp_path, monkeypatch):
    torch.manual_seed(0)
    extractor = BrainExtractor(BrainExtractorConfig((2, 3, 4))).eval()  # the bundled one takes a minute
    monkeypatch.setattr(onnx_export, "load_brain_extractor", lambda device: extractor)
    done = CliRunner().invoke(app, ["export", "brain-extractor", "-o", str(tmp_path / "brain.onnx")])
    assert done.exit_code == 0, done.output
    session = runtime.InferenceSession(str(tmp_path / "brain.onnx"))
    patch = np.random.default_rng(3).random((1, 1, 48, 32, 64), dtype=np.float32)
    with torch.inference_mode():
        expected = extractor(torch.from_numpy(patch)).numpy()
    assert np.abs(session.run(["brain_logit"], {"volume": patch})[0] - expected).max() < 1e-3
    described = json.loads(session.get_modelmeta().custom_metadata_map["segsrgan"])
    assert "Imperial College" in described["card"]["training_data"]
    assert (described["multiple"], described["spacing_mm"]) == (4, 3.0)


def test_another_network_is_not_written(tmp_path, monkeypatch):
    save_checkpoint(tmp_path / "model.safetensors", NETWORKS["paper"](), ModelCard())
    model = load_checkpoint(tmp_path / "model.safetensors")

    def other(source, path):
        node = onnx.helper.make_node("Identity", ["volume"], ["sr"])
        values = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [None] * 5) for n in ("volume", "sr")]
        graph = onnx.helper.make_graph([node], "other", values[:1], values[1:])
        made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8)
        onnx.save(made, str(path))

    monkeypatch.setattr(onnx_export, "_trace", other)
    with pytest.raises(CheckpointError, match="differs from the model"):
        onnx_export.export_onnx(model, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()
