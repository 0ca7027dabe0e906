"""One result as a page: the verdict, slices with outlines, the places to look at, a swipe, figures, and the methods."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from ..inference.enhancement import Enhancement
from ..utils.atomic_files import atomic_path
from ..utils.optional import require
from ..visualization.mosaic import Layer, draw_rows, encoded, greys_in
from ..visualization.overlays import draw_cross_sections, middle_of
from ..visualization.planes import PLANES
from ..visualization.qc_picture import layers_of, legend_of
from ..visualization.verdict_style import NO_VERDICT, shown_verdict
from .methods_text import methods_of
from .page_facts import missing_checks, numbers_of, origin_of, training_of
from .worst_places import LOOKED_FROM, Place, draw_place, find_places

_TEMPLATES = Path(__file__).with_name("templates")
_WIDTH = 1480  # pixels of a mosaic
_VOLUMES = {"scan": "scan", "spline": "interpolation", "result": "super-resolution"}
_OVERLAYS = {
    "consistency": "disagreement with the scan (red: too bright, blue: too dark)",
    "deviation": "unsure intensity",
    "entropy": "unsure segmentation",
}


def write_subject_report(result: Enhancement, image: sitk.Image, path: str | Path, name: str) -> None:
    """Write a page for one result: a single file that opens anywhere, below 3 MB.

    Args:
        result: what `enhance` returned. image: its input.
        path: an .html file. name: of the volume, as title.

    Raises:
        MissingPackage: jinja2 or Pillow is not installed.
        VolumeError: the file cannot be written.
    """
    record, verdict = result.record, shown_verdict(result.record)
    layers, box = layers_of(image, result)
    planes = draw_cross_sections(result, image, middle_of(result))
    titles = {"outline": ", ".join(result.probabilities), **_OVERLAYS}
    text = render(
        "subject.html.j2",
        name=name,
        notice=record["notice"],
        verdict=verdict,
        warnings=[text for text in record["warnings"] if text not in verdict.reasons],
        unchecked=missing_checks(record) if verdict.word == NO_VERDICT else [],  # else among its reasons
        legend=[(title, "#{:02x}{:02x}{:02x}".format(*colour)) for title, colour in legend_of(result)],
        mosaics=_mosaics(layers, box),
        places=_drawn_places(result, layers),
        looked_from=LOOKED_FROM,
        volumes=_VOLUMES,
        overlays={key: title for key, title in titles.items() if key in planes[0].layers},
        planes=planes,
        numbers=numbers_of(record),
        training=training_of(record),
        origin=origin_of(record),
        methods=methods_of(record),
    )
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def render(template: str, **values: Any) -> str:
    """Fill in a template of the folder `templates`; every value is escaped.

    Raises:
        MissingPackage: jinja2 is not installed.
    """
    jinja2 = require("jinja2", extra="report")
    environment = jinja2.Environment(autoescape=True, loader=jinja2.FileSystemLoader(_TEMPLATES))
    return environment.get_template(template).render(**values)


def _mosaics(layers: list[Layer], box: Any) -> list[tuple[str, str]]:
    """Name and picture of each plane."""
    with_greys = [(layer, greys_in(layer.image, box)) for layer in layers]
    return [(PLANES[axis], encoded(draw_rows(with_greys, axis, box, _WIDTH))) for axis in (2, 1, 0)]


def _drawn_places(result: Enhancement, layers: list[Layer]) -> list[Place]:
    """The places to look at, each with its picture: the scan without lines, the result with the outlines."""
    shown = [Layer(layers[0].title, layers[0].image), layers[1]]
    return [replace(place, picture=draw_place(shown, place.point)) for place in find_places(result)]
