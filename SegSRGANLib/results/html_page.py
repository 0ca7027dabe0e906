"""One result as a page: planes to swipe between scan, interpolation and result, maps, figures, warnings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..data.grid import place_in_words
from ..inference.enhancement import Enhancement
from ..quality.domain import TITLES
from ..utils.atomic_files import atomic_path
from ..utils.optional import require
from ..visualization.overlays import draw_cross_sections, middle_of

_TEMPLATES = Path(__file__).with_name("templates")
_VOLUMES = {"scan": "scan", "spline": "interpolation", "result": "super-resolution"}
_OVERLAYS = {
    "outline": "cortex",
    "consistency": "disagreement with the scan (red: too bright, blue: too dark)",
    "deviation": "unsure intensity",
    "entropy": "unsure cortex",
}
_NUMBERS = {
    ("cortex", "volume_ml"): "volume of the cortex, mL",
    ("uncertainty", "volume_interval_ml"): "over mirrored and shifted runs, mL",
    ("cortex", "expected_volume_ml"): "sum of the probability of cortex, mL",
    ("cortex", "surface_cm2"): "surface of the cortex, cm²",
    ("cortex", "euler_number"): "Euler number of the cortex (pieces - tunnels + cavities)",
    ("cortex", "components"): "pieces of the cortex",
    ("consistency", "psnr"): "agreement with the scan, PSNR in dB",
    ("consistency", "bias_percent"): "mean difference to the scan, % of its range",
    ("consistency", "z_max"): "largest local disagreement, robust standard deviations",
    ("consistency", "slice_z_max"): "largest disagreement of a slice, robust standard deviations",
    ("uncertainty", "deviation_percent"): "spread of the intensity over the runs, %",
    ("uncertainty", "entropy_bits"): "entropy in the cortex, bits",
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
    record = result.record
    worst = np.array(record["quality"]["consistency"]["z_max_position_lps"])
    sections = [
        ("Through the middle", draw_cross_sections(result, image, middle_of(result))),
        (
            f"Where result and scan differ most: {place_in_words(worst.tolist())}",
            draw_cross_sections(result, image, worst),
        ),
    ]
    layers = sections[0][1][0].layers
    titles = _OVERLAYS | {"outline": ", ".join(result.probabilities)}
    text = render(
        "subject.html.j2",
        name=name,
        notice=record["notice"],
        warnings=record["warnings"],
        volumes=_VOLUMES,
        overlays={key: title for key, title in titles.items() if key in layers},
        sections=sections,
        numbers=_numbers(record["quality"]),
        origin=_origin(record),
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


def _numbers(quality: dict[str, Any]) -> list[tuple[str, str]]:
    found = []
    for (group, key), label in _NUMBERS.items():
        value = quality.get(group, {}).get(key)
        if isinstance(value, list):
            value = " to ".join(f"{v:.4g}" for v in value)
        if value is not None:
            found.append((label, f"{value:.4g}" if isinstance(value, float) else str(value)))
    for name, item in quality.get("domain", {}).items():
        low, high = item["training"]
        found.append((f"{TITLES[name]} (training: {low:.3g} to {high:.3g})", f"{item['value']:.3g}"))
    return found


def _origin(record: dict[str, Any]) -> list[tuple[str, str]]:
    grid = record["input"]["grid"]
    return [
        ("scan", record["input"].get("file", "") + " " + " x ".join(f"{s:.3g}" for s in grid["spacing"]) + " mm"),
        ("model", f"{record['model']['title']} ({record['model']['sha256'][:12]})"),
        ("software", f"SegSRGAN {record['software']['segsrgan']}, torch {record['software']['torch']}"),
        ("computed", f"{record['date']}, {record['seconds']['total']:.1f} s on {record['device']}"),
    ]
