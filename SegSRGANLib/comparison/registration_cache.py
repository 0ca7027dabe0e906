"""Registered atlases on disk while a volume is worked on: three systems use them, a killed run finds them again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import SimpleITK as sitk

from ..multi_atlas.evidence import WarpedAtlas
from ..utils.atomic_files import atomic_path
from .cost import Cost, Meter

_FOLDER = ".registered"


class WarpedCache:
    """Registered atlases of one volume, by the input that they were registered to."""

    def __init__(self, outdir: Path, subject: str) -> None:
        """Name the folder; nothing is made yet."""
        self._folder = outdir / _FOLDER / subject

    def get(self, name: str, key: str, register: Callable[[], list[WarpedAtlas]]) -> tuple[list[WarpedAtlas], Cost]:
        """Read the atlases that were registered to an input, or register them now.

        Args:
            name: of the input, for instance "3-spline". key: names everything that the registration depends on.
            register: does it.

        Returns:
            The atlases, and what the registration cost when it was done.
        """
        folder = self._folder / name
        found = self._read(folder, key)
        if found is not None:
            return found
        shutil.rmtree(folder, ignore_errors=True)
        with Meter() as meter:
            warped = register()
        folder.mkdir(parents=True)
        for number, atlas in enumerate(warped):
            sitk.WriteImage(atlas.image, str(folder / f"{number}_image.mha"))
            sitk.WriteImage(atlas.labels, str(folder / f"{number}_labels.mha"))
        names = [atlas.name for atlas in warped]
        record = {"key": key, "names": names, "seconds": meter.cost.seconds, "memory": meter.cost.memory}
        with atomic_path(folder / "done.json") as temporary:
            temporary.write_text(json.dumps(record), encoding="utf-8")
        return warped, meter.cost

    def drop(self, name: str = "") -> None:
        """Remove the atlases of one input, or of all."""
        shutil.rmtree(self._folder / name, ignore_errors=True)
        if not name and self._folder.parent.is_dir() and not any(self._folder.parent.iterdir()):
            shutil.rmtree(self._folder.parent, ignore_errors=True)

    def _read(self, folder: Path, key: str) -> tuple[list[WarpedAtlas], Cost] | None:
        try:
            record = json.loads((folder / "done.json").read_text(encoding="utf-8"))
            if record["key"] != key:
                return None
            cost = Cost(record["seconds"], record["memory"])
            return [self._atlas(folder, number, name) for number, name in enumerate(record["names"])], cost
        except (OSError, ValueError, KeyError, RuntimeError):
            return None

    def _atlas(self, folder: Path, number: int, name: str) -> WarpedAtlas:
        image, labels = (sitk.ReadImage(str(folder / f"{number}_{kind}.mha")) for kind in ("image", "labels"))
        return WarpedAtlas(name, image, labels)
