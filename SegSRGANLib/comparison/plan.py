"""What a comparison consists of: every result by its volume, factor and system, and the key that tells stale ones."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from .. import __version__
from ..io.subject_table import Case
from .segmenters import AtlasTools
from .systems import HR, SPLINE, Method, Systems

TRUE_RESOLUTION = 1.0  # the factor of what runs on the high-resolution volume itself


@dataclass(frozen=True)
class CompareOptions:
    """What a user can choose.

    data: CSV table or BIDS folder of high-resolution volumes. outdir: folder of the results. factors: how much thicker
    the slices are than the voxels. atlases: CSV table or BIDS folder for the segmenters, or None. label: of the cortex.
    reference: title of the row that the others are compared with; "" for the best model. device: where models run.
    axis: of the slices, 0, 1 or 2 for x, y or z. in_plane: spacing inside the slices in mm, None for the volume's own.
    folds: of the table, whose volumes are compared; without `atlases` the volumes of the other folds are the atlases.
    """

    data: Path
    outdir: Path
    factors: tuple[float, ...] = (3.0, 6.0)
    atlases: Path | None = None
    label: int = 5
    reference: str = ""
    device: str = "cpu"
    axis: int = 2
    in_plane: float | None = None
    folds: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.factors or not all(1 < factor < 100 for factor in self.factors):
            raise ValueError(f"The factors of slice thickness lie above 1, as in 3,6; not {self.factors}.")
        if self.axis not in (0, 1, 2):
            raise ValueError(f"The axis of the slices is 0, 1 or 2 for x, y or z, not {self.axis}.")
        if self.in_plane is not None and not 0 < self.in_plane < 100:
            raise ValueError(f"The spacing inside the slices must be positive, in mm, not {self.in_plane}.")

    @property
    def atlas_source(self) -> Path | None:
        """Where the atlases are listed: in a table of their own, or with the volumes of all folds."""
        return self.data if self.atlases is None and self.folds else self.atlases


@dataclass(frozen=True)
class Row:
    """One result of a volume. source: what a segmenter works on, a method's name or HR; "" for a method."""

    factor: float
    system: str
    source: str = ""

    @property
    def title(self) -> str:
        """As in the tables, for instance "imapa on spline"."""
        return f"{self.system} on {self.source}" if self.source else self.system


@dataclass(frozen=True)
class Plan:
    """All that a worker process needs to know.

    systems: those that can run. weights: SHA-256 of the models, by the method's name. atlas_key: names the content of
    the atlases and all settings of the segmenters. tools: the segmenters.
    """

    options: CompareOptions
    systems: Systems
    weights: dict[str, str] = field(default_factory=dict)
    atlas_key: str = ""
    tools: AtlasTools = AtlasTools()

    def rows(self) -> list[Row]:
        """Every result of a volume: for each factor the methods, then the segmenters on them; at last those on HR."""
        sources = [SPLINE, *([self.systems.best] if self.systems.best else [])]
        found = []
        for factor in self.options.factors:
            found += [Row(factor, method.name) for method in self.systems.methods]
            found += [Row(factor, name, source) for source in sources for name in self.systems.segmenters]
        return found + [Row(TRUE_RESOLUTION, name, HR) for name in self.systems.segmenters]

    @property
    def reference(self) -> str:
        """The row that the others are compared with."""
        return self.options.reference or self.systems.best or SPLINE

    def method(self, name: str) -> Method:
        """A method by its name. The spline is always there: segmenters get it even when nobody asked for it."""
        return next((item for item in self.systems.methods if item.name == name), Method(SPLINE))

    def key(self, row: Row, volume: str) -> str:
        """A digest of everything that the result depends on; volume: digest of the volume's files."""
        method = self.method(row.source or row.system)
        values = {
            "version": __version__,
            "volume": volume,
            "row": [row.factor, row.system, row.source],
            "label": self.options.label,
            "device": self.options.device,
            "protocol": [self.options.axis, self.options.in_plane],
            "weights": self.weights.get(method.name, ""),
            "consistency": method.consistency,
            "atlases": self.atlas_key if row.source else "",
        }
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Task:
    """A volume to work on. digest: of its files."""

    case: Case
    digest: str

    @property
    def key(self) -> str:
        """What no other task of the comparison has."""
        return self.case.name


def digest(case: Case) -> str:
    """SHA-256 of a volume's files and its fold, which decides on atlases and weights.

    Raises:
        OSError: one cannot be read.
    """
    total = hashlib.sha256(case.fold.encode())
    for path in (case.image, case.labels, case.mask):
        total.update(b"" if path is None else _file_digest(path))
    return total.hexdigest()


def _file_digest(path: Path) -> bytes:
    total = hashlib.sha256()
    for part in sorted(path.iterdir()) if path.is_dir() else [path]:  # a folder of DICOM slices
        if part.is_file():
            total.update(part.read_bytes())
    return total.digest()
