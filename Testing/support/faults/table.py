"""One fault, the command that meets it, and what came of it."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from support.batch_cohort import OPTIONS, write_scan
from support.forked import run_command

from SegSRGANLib.cli.app import build
from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import save_checkpoint
from SegSRGANLib.networks.segsrgan import Generator, GeneratorConfig

REFUSED, DONE = 1, 0
_TABLES = ("summary", "volumes")  # a batch's tables are no results


@dataclass(frozen=True)
class Scene:
    """A folder of one fault's own, and a model whose super-resolution is the interpolated scan."""

    folder: Path
    model: Path

    @property
    def out(self) -> Path:
        """Where results go."""
        return self.folder / "out"

    def scan(self, name: str = "a.nii.gz", seed: int = 0) -> Path:
        """A sound scan."""
        return write_scan(self.folder / name, seed)

    def predict(self, *arguments: Any) -> list[Any]:
        """The command for one volume; a later option holds against the usual ones."""
        return ["predict", "-o", self.out, "-m", self.model, *OPTIONS, *arguments]

    def batch(self, source: Path, *arguments: Any) -> list[Any]:
        """The command for many volumes."""
        return ["batch", source, "-o", self.out, "-m", self.model, *OPTIONS, *arguments]

    def record(self) -> dict[str, Any]:
        """The record of the only result."""
        return json.loads(next(self.out.rglob("*_record.json")).read_text(encoding="utf-8"))

    def result(self, role: str = "sr") -> nibabel.Nifti1Image:
        """A volume of the only result, read independently of the library."""
        return nibabel.load(next(self.out.rglob(f"*_{role}.nii.gz")))


@dataclass(frozen=True)
class Fault:
    """What is wrong, and what must happen.

    title: of the row. says: words of the sentence, or of the warning where the command ends well. make: files, and the
    arguments of the command. status: of the command. check: of what is left, raises AssertionError. limit: of the
    process, see `resource.setrlimit`; the command then runs in a process of its own.
    """

    title: str
    says: str
    make: Callable[[Scene], list[Any]]
    status: int = REFUSED
    check: Callable[[Scene], None] | None = None
    limit: tuple[str, int] | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a fault. said: the sentence. wrong: what should not have been, empty when all is right."""

    fault: Fault
    said: str
    wrong: list[str]


@dataclass
class Catalogue:
    """The faults of one file, in their order."""

    faults: list[Fault] = field(default_factory=list)

    def add(self, title: str, says: str = "", **more: Any) -> Callable[[Callable[[Scene], list[Any]]], Callable]:
        """Have a function that makes the files, and returns the arguments, stand as a fault."""

        def register(make: Callable[[Scene], list[Any]]) -> Callable[[Scene], list[Any]]:
            self.faults.append(Fault(title, says, make, **more))
            return make

        return register


def save_neutral_model(path: Path) -> Path:
    """A model that adds nothing to the interpolated scan: what a result then shows is its geometry."""
    torch.manual_seed(0)
    network = Generator(GeneratorConfig(2, 1))
    with torch.no_grad():
        network.output.weight.zero_()
    save_checkpoint(path, network, ModelCard(title="Neutral"))
    return path


def attempt(fault: Fault, scene: Scene) -> Outcome:
    """Make a fault's files, run its command, and judge what it said and left."""
    os.environ["SEGSRGAN_HOME"] = str(scene.folder / "home")  # where imported models go
    arguments = [str(argument) for argument in fault.make(scene)]
    status, output, error = (_here if fault.limit is None else _apart)(arguments, fault.limit)
    said = _said(fault.status, output + error)
    return Outcome(fault, said, _wrong(fault, scene, status, error, said))


def _wrong(fault: Fault, scene: Scene, status: int, error: str, said: str) -> list[str]:
    wrong: list[str] = [] if status == fault.status else [f"status {status}"]
    if "Traceback" in error:
        wrong.append("a traceback")
    if " ".join(fault.says.split()) not in " ".join(said.split()):
        wrong.append(f"does not say {fault.says!r}")
    if fault.status == REFUSED and said.count("Error: ") != 1:
        wrong.append("not one sentence")
    left = [path for path in scene.out.rglob("*") if path.is_file()] if scene.out.is_dir() else []
    if [path.name for path in left if path.name.startswith(".partial")]:
        wrong.append("a half-written file")
    if fault.status == REFUSED and fault.check is None and [p for p in left if not p.name.startswith(_TABLES)]:
        wrong.append("a result")
    if fault.check is not None and not wrong:
        try:
            fault.check(scene)
        except AssertionError as failure:
            wrong.append(" ".join(str(failure).split())[:200] or "the check failed")
    return wrong


def _said(status: int, text: str) -> str:
    """The lines that matter: the error, or the warnings."""
    words = ("Error: ", "Failed: ") if status == REFUSED else ("Warning: ",)
    return "\n".join(line for line in text.splitlines() if line.startswith(words))


def _here(arguments: list[str], limit: object) -> tuple[int, str, str]:
    """Run the command in this process."""
    output, error = io.StringIO(), io.StringIO()
    logging.getLogger().handlers.clear()  # the earlier run's standard error
    status = 0
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(error):
        try:
            build()(arguments, standalone_mode=True)
        except SystemExit as end:
            status = int(end.code or 0)
        except BaseException as problem:  # noqa: BLE001 (what the shell would show as a traceback)
            error.write(f"Traceback: {problem!r}")
            status = -1
    return status, output.getvalue(), error.getvalue()


def _apart(arguments: list[str], limit: tuple[str, int] | None) -> tuple[int, str, str]:
    """Run the command in a process of its own, with a limit of the system."""
    import resource

    kind, size = limit or ("RLIMIT_NOFILE", 256)
    done = run_command(*arguments, limit=(getattr(resource, kind), size))
    return done.returncode, done.stdout, done.stderr


def blob_stays(scene: Scene, place: np.ndarray, tolerance: float = 0.05) -> None:
    """Check that the brightest thing of the result lies where it was put: RAS, mm."""
    image = scene.result()
    values = np.clip(image.get_fdata() - 100.0, 0, None) ** 2
    index = np.array([(values * axis).sum() for axis in np.indices(values.shape)]) / values.sum()
    found = (image.affine @ [*index, 1.0])[:3]
    distance = float(np.linalg.norm(found - place))
    assert distance < tolerance, f"moved by {distance:.2f} mm, from {np.round(place, 2)} to {np.round(found, 2)}"
