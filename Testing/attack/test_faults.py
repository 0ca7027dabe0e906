"""Every fault of the table, met by the real command: one sentence, the right status, nothing half-written.

`python Testing/attack/run_faults.py` prints the table of docs/reliability.md.
"""

from __future__ import annotations

import os

import pytest
from support.faults.all import FAULTS
from support.faults.table import DONE, Fault, Scene, attempt, save_neutral_model

pytestmark = pytest.mark.skipif(os.name == "nt", reason="pipes, links and limits of a POSIX system")
pytest.importorskip("pydicom", reason="writes DICOM files")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_neutral_model(tmp_path_factory.mktemp("model") / "neutral.safetensors")


def _parameter(fault: Fault):
    slow = fault.limit is not None or fault.status == DONE  # in a process of its own, or computed to the end
    return pytest.param(fault, id=fault.title, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize("fault", [_parameter(fault) for fault in FAULTS])
def test_fault(fault, model, tmp_path, monkeypatch):
    monkeypatch.setenv("SEGSRGAN_HOME", str(tmp_path / "home"))
    outcome = attempt(fault, Scene(tmp_path, model))
    assert not outcome.wrong, f"{outcome.wrong}; said: {outcome.said}"


def test_there_are_59_faults_and_more_and_each_has_its_own_row():
    titles = [fault.title for fault in FAULTS]
    assert len(titles) == len(set(titles)) >= 59
