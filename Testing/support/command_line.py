"""The command in the tests' own process, and a tiny model for it."""

import pytest
import torch

from SegSRGANLib.cli.app import build
from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import save_checkpoint
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_checkpoint(path, Generator(GeneratorConfig(2, 1)), ModelCard(title="Tiny"))
    return path


def run(capfd, *arguments):
    """Run the command in this process; its exit status, standard output and standard error."""
    try:
        build()([str(a) for a in arguments], standalone_mode=True)
        status = 0
    except SystemExit as end:
        status = end.code or 0
    output = capfd.readouterr()
    return status, output.out, output.err


def predict(capfd, scan, outdir, model, *more):
    fixed = ("--mask", "none", "--spacing", 0.9, "--patch", 32, "--device", "cpu")
    return run(capfd, "predict", scan, "-o", outdir, "-m", model, *fixed, *more)
