"""Stand-ins for the multi-atlas systems: quick, and with a mistake when it is asked for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import SimpleITK as sitk
from support.training_brains import CORTEX, brain

from SegSRGANLib.comparison.segmenters import AtlasTools
from SegSRGANLib.multi_atlas.atlas import Atlas
from SegSRGANLib.multi_atlas.evidence import WarpedAtlas


def read(path: Path) -> list[Atlas]:
    """Two brains, the first of which is also the cohort's first volume."""
    atlases = []
    for seed in (0, 7):
        image, labels = (sitk.GetImageFromArray(array) for array in brain(seed))
        for volume in (image, labels):
            volume.SetSpacing((0.8,) * 3)
        atlases.append(Atlas(f"atlas-{seed}", image, labels))
    return atlases


def register(image, mask, atlases, stop):
    """No registration at all."""
    return [WarpedAtlas(a.name, _carried(a.image, image), _carried(a.labels, image)) for a in atlases]


def _carried(volume, image):
    return sitk.Resample(volume, image, sitk.Transform(), sitk.sitkNearestNeighbor)


def first_atlas(image, mask, warped, label, stop):
    """The cortex of the first atlas."""
    return warped[0].labels == label


def broken(image, mask, warped, label, stop):
    """A system that always fails."""
    raise RuntimeError("no patch\nis similar")


TOOLS = AtlasTools(read, register, {"majority": first_atlas, "imapa": first_atlas, "drawem": broken}, "fake")


@dataclass
class Counted:
    """Tools that count their calls, for tests within one process."""

    calls: Counter = field(default_factory=Counter)
    names: list = field(default_factory=list)

    def tools(self) -> AtlasTools:
        def counted(image, mask, atlases, stop):
            self.calls["register"] += 1
            self.names.append([atlas.name for atlas in atlases])
            return register(image, mask, atlases, stop)

        def segment(image, mask, warped, label, stop):
            self.calls["segment"] += 1
            assert label == CORTEX
            return first_atlas(image, mask, warped, label, stop)

        return AtlasTools(read, counted, {"majority": segment, "imapa": segment, "drawem": segment}, "fake")
