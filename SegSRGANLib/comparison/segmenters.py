"""The multi-atlas systems as the comparison calls them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import SimpleITK as sitk

from ..inference.record import image_hash
from ..multi_atlas import drawem, imapa
from ..multi_atlas.atlas import Atlas, read_atlases
from ..multi_atlas.evidence import WarpedAtlas
from ..multi_atlas.majority_vote import majority
from ..multi_atlas.registration import RegistrationOptions, register_atlases
from ..utils.progress import ShouldStop

Mask = sitk.Image | None
Stop = ShouldStop | None
Register = Callable[[sitk.Image, Mask, Sequence[Atlas], Stop], list[WarpedAtlas]]
Segment = Callable[[sitk.Image, Mask, Sequence[WarpedAtlas], int, Stop], sitk.Image]


def _register(image: sitk.Image, mask: Mask, atlases: Sequence[Atlas], stop: Stop) -> list[WarpedAtlas]:
    return register_atlases(image, mask, atlases, should_stop=stop)


def _majority(image: sitk.Image, mask: Mask, warped: Sequence[WarpedAtlas], label: int, stop: Stop) -> sitk.Image:
    return majority(warped, label)


def _imapa(image: sitk.Image, mask: Mask, warped: Sequence[WarpedAtlas], label: int, stop: Stop) -> sitk.Image:
    return imapa.segment(image, warped, label, mask=mask, should_stop=stop)


def _drawem(image: sitk.Image, mask: Mask, warped: Sequence[WarpedAtlas], label: int, stop: Stop) -> sitk.Image:
    return drawem.segment(image, warped, label, mask=mask, should_stop=stop)


def _segmenters() -> dict[str, Segment]:
    return {"majority": _majority, "imapa": _imapa, "drawem": _drawem}


@dataclass(frozen=True)
class AtlasTools:
    """Functions that read and register atlases and segment with them; all can be pickled.

    settings: a text that differs when the functions' settings do.
    """

    read: Callable[[Path], list[Atlas]] = read_atlases
    register: Register = _register
    segmenters: Mapping[str, Segment] = field(default_factory=_segmenters)
    settings: str = repr((RegistrationOptions(), imapa.ImapaOptions(), drawem.DrawEmOptions()))

    def key(self, atlases: Sequence[Atlas]) -> str:
        """Names the atlases' content and the settings."""
        parts = [f"{a.name} {a.fold} {image_hash(a.image)} {image_hash(a.labels)}" for a in atlases]
        return hashlib.sha256("\n".join([self.settings, *parts]).encode()).hexdigest()


def others(atlases: Sequence[Atlas], image: sitk.Image, fold: str = "") -> list[Atlas]:
    """The atlases without those of the volume's fold, and without the volume itself, which would know the truth."""
    own = image_hash(image)
    return [a for a in atlases if image_hash(a.image) != own and not (fold and a.fold == fold)]
