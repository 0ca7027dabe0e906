"""Progress in a log file, where no bar can move."""

import io
import re

import pytest

from SegSRGANLib.cli import console


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    return now


def test_a_log_file_gets_a_line_now_and_then(clock, monkeypatch):
    stderr = io.StringIO()
    monkeypatch.setattr(console.sys, "stderr", stderr)
    with console.reported("bar") as (progress, _):
        for second in range(1, 101):
            clock[0] = float(second)
            progress(second / 100, f"Step {second}")
    lines = stderr.getvalue().splitlines()
    assert [re.match(r" *(\d+)% Step \1", line)[1] for line in lines] == ["30", "60", "90"]
    assert [line.split(", ")[1] for line in lines] == ["about 70 s left", "about 40 s left", "about 10 s left"]


def test_what_is_nearly_done_has_no_zero_left(clock, monkeypatch):
    stderr = io.StringIO()
    monkeypatch.setattr(console.sys, "stderr", stderr)
    with console.reported("bar") as (progress, _):
        for second in (1.0, 100.0, 140.0, 180.0):
            clock[0] = second
            progress(0.99, "Writing")
    text = stderr.getvalue()
    assert text.count("nearly done") == 3 and " 0 " not in text


def test_no_remaining_time_is_guessed_from_nothing(clock, monkeypatch):
    stderr = io.StringIO()
    monkeypatch.setattr(console.sys, "stderr", stderr)
    with console.reported("bar") as (progress, _):
        clock[0] = 60.0
        progress(0.01, "Reading")
    assert stderr.getvalue() == "  1% Reading\n"


def test_the_parent_process_reads_the_remaining_time(clock, capsys):
    with console.reported("json") as (progress, _):
        clock[0] = 10.0
        progress(0.25, "Predicting")
    assert '"remaining": 30.0' in capsys.readouterr().out


@pytest.mark.parametrize(
    "error, words",
    [
        (ValueError("/scratch/allocations/a.nii.gz does not exist."), "Error: /scratch/allocations/a.nii.gz does not"),
        (RuntimeError("DefaultCPUAllocator: can't\n allocate"), "Error: There is not enough memory"),
        (MemoryError(), "Error: There is not enough memory"),
        (OSError(), "Error: OSError"),
    ],
)
def test_memory_is_blamed_for_what_it_does(capsys, error, words):
    def command():
        raise error

    assert console.run_guarded(command, debug=False) == 1
    text = capsys.readouterr().err
    assert text.startswith(words) and len(text.splitlines()) == 1
