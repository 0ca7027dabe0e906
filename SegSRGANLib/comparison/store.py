"""The files of a comparison's results: one record and one set of picture planes each, whole or not at all."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ..utils.atomic_files import atomic_path
from .plan import Row

DONE, FAILED = "done", "failed"
ACROSS = "across"  # of the true volume's planes: the name of the plane in which the slices lie


@dataclass(frozen=True)
class Result:
    """How one system did on one volume.

    key: see `plan.Plan.key`. status: DONE or FAILED, then with a reason. figures: see `metrics.evaluate`. seconds: from
    the thick slices to the result. memory: MiB, see `cost.Cost`. steps: seconds of its parts.
    """

    subject: str
    factor: float
    system: str
    key: str
    status: str = DONE
    reason: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    seconds: float | None = None
    memory: float | None = None
    steps: dict[str, float] = field(default_factory=dict)


class Store:
    """Results below a folder, as results/VOLUME/factor-3/SYSTEM.json."""

    def __init__(self, outdir: Path) -> None:
        """Name the folder; nothing is made yet."""
        self._root = outdir / "results"

    def read(self, subject: str, row: Row, key: str) -> Result | None:
        """The result if it is there and was made from just this; None for a stale, broken or missing one."""
        try:
            result = Result(**json.loads(self._path(subject, row, "json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return result if result.key == key else None

    def write(self, row: Row, result: Result, planes: dict[str, np.ndarray] | None = None) -> None:
        """Write a result; its record comes last.

        Raises:
            VolumeError: the folder cannot be written.
        """
        self._path(result.subject, row, "json").unlink(missing_ok=True)
        if planes is not None:
            self.write_planes(result.subject, row, planes)
        with atomic_path(self._path(result.subject, row, "json")) as temporary:
            temporary.write_text(json.dumps(asdict(result), indent=1) + "\n", encoding="utf-8")

    def write_planes(self, subject: str, row: Row, planes: dict[str, np.ndarray]) -> None:
        """Write cross-sections for the pictures; see `Cut.planes`."""
        with atomic_path(self._path(subject, row, "npz")) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, **planes)  # ty: ignore[invalid-argument-type]  # names of arrays

    def read_planes(self, subject: str, row: Row) -> dict[str, Any] | None:
        """The cross-sections of a result; None for missing or broken ones."""
        try:
            with self._path(subject, row, "npz").open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
                return dict(archive)
        except (OSError, ValueError, EOFError, BadZipFile):
            return None

    def _path(self, subject: str, row: Row, kind: str) -> Path:
        name = re.sub(r"[^A-Za-z0-9.+_-]", "_", row.title)
        return self._root / subject / f"factor-{row.factor:g}" / f"{name}.{kind}"
