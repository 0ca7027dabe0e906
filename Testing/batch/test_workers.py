"""The number of workers changes no label, whatever the environment says of threads."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from support.batch_cohort import OPTIONS, write_scan

from SegSRGANLib.batch.jobs import Job
from SegSRGANLib.batch.run import _prepare
from SegSRGANLib.batch.worker import BatchOptions
from SegSRGANLib.cli.app import build
from SegSRGANLib.inference.options import EnhanceOptions
from SegSRGANLib.inference.predictor import PredictionOptions
from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import save_checkpoint
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig

CORES = 4


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small network of the paper's kind, with random weights."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    torch.manual_seed(0)
    save_checkpoint(path, Generator(GeneratorConfig(4, 2)), ModelCard())
    return path


@pytest.fixture
def cores(monkeypatch):
    """A machine of four cores, as far as torch can tell, whose user said nothing of threads."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    yield lambda: torch.set_num_threads(CORES)
    torch.set_num_threads(before)


def _volumes(folder):
    names = ("sr", "cortex-probability", "cortex")
    return [sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"a_{name}.nii.gz"))) for name in names]


def _nearly_equal(one, other):
    (sr, probability, labels), (sr2, probability2, labels2) = one, other
    assert np.array_equal(labels, labels2) and 0 < labels.mean() < 1
    assert np.abs(probability - probability2).max() < 1e-4
    assert np.abs(sr - sr2).max() < 1e-5 * np.abs(sr).max()


@pytest.mark.parametrize("workers", [2, CORES])
def test_threads_divided_among_workers_change_no_label(tmp_path, model, cores, workers):
    scan = write_scan(tmp_path / "a.nii.gz", size=(24, 24, 12))
    enhance, used = EnhanceOptions(1.0, prediction=PredictionOptions(16, device="cpu", precision="float32")), []
    for count in (1, workers):
        cores()
        options = BatchOptions(tmp_path / str(count), str(model), enhance)
        do = _prepare(options, 0, count)
        used.append(torch.get_num_threads())
        assert do(Job(scan, "a"), lambda fraction, message: None, lambda: False).status == "done"
    assert used == [CORES, CORES // workers]
    _nearly_equal(*(_volumes(tmp_path / str(count)) for count in (1, workers)))


@pytest.mark.slow
@pytest.mark.usefixtures("spawned_workers")  # PyTorch asks for the threads when it is loaded
def test_the_command_gives_the_same_labels_with_any_number_of_workers(tmp_path, model, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    write_scan(tmp_path / "in" / "a.nii.gz", size=(24, 24, 12))
    write_scan(tmp_path / "in" / "b.nii.gz", 1)
    for workers in ("1", "2"):
        command = ["batch", str(tmp_path / "in"), "-m", str(model), *OPTIONS]
        with pytest.raises(SystemExit) as end:
            build()([*command, "-o", str(tmp_path / workers), "--workers", workers])
        assert not end.value.code
    _nearly_equal(_volumes(tmp_path / "1"), _volumes(tmp_path / "2"))
