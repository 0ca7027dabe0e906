"""The page of one result and the list of a cohort as HTML: in one file, or with its volumes fetched from the server."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...utils.atomic_files import atomic_path
from ...utils.errors import VolumeError
from ...utils.optional import require
from ..page_facts import numbers_of, origin_of
from .facts import places_of, verdict_of, volumes_of
from .study import Study
from .volumes import Payload, compressed, intensity_payload, label_payload, scan_payload

LARGEST_PAGE = 96_000_000  # bytes of a page in one file; browsers open larger ones slowly or not at all
# Colours of the classes, label 1 first: that of Slicer's segments, then Okabe and Ito's.
PALETTE = [(240, 140, 51), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)]
_FOLDER = Path(__file__).parent
_MAP_TITLES = {
    "consistency": "map: disagreement with the scan",
    "sr-deviation": "map: unsure intensity",
    "cortex-entropy": "map: unsure segmentation",
}


class TooLarge(VolumeError):
    """The page would be larger than a browser opens well."""


@dataclass(frozen=True)
class Layer:
    """One volume of the page. role: as in `Study.files`, or "scan". kind: "grey", "labels" or "map"."""

    role: str
    title: str
    kind: str
    payload: Payload


def layers_of(study: Study) -> tuple[list[Layer], list[str]]:
    """The volumes to show, and sentences about what cannot be shown.

    Raises:
        VolumeError: the super-resolved volume is missing or damaged.
    """
    if "sr" not in study.files:
        gone = next((name for name in study.missing if name.endswith(("_sr.nii.gz", "_T2w.nii.gz"))), "its file")
        raise VolumeError(f"The super-resolved volume of {study.name} is missing ({gone}); make the result again.")
    notes = [f"{name} is missing." for name in study.missing]
    layers = [Layer("sr", "super-resolution", "grey", intensity_payload(study.files["sr"]))]
    if study.scan is None:
        notes.append("The scan was not found; give it with --scan to see it beside the result.")
    else:
        try:
            payload, same = scan_payload(study.scan, study.record["input"].get("sha256"))
            layers.insert(0, Layer("scan", "scan", "grey", payload))
            if not same:
                notes.append(f"{study.scan.name} is not the scan that this result was made of, or was changed since.")
        except VolumeError as error:
            notes.append(f"The scan cannot be shown: {error}")
    if "labels" in study.files:
        names = study.record.get("classes") or ["cortex"]
        layers.append(Layer("labels", ", ".join(map(str, names)), "labels", label_payload(study.files["labels"])))
    for role, title in _MAP_TITLES.items():
        if role in study.files:
            layers.append(Layer(role, title, "map", intensity_payload(study.files[role])))
    factor = max(layer.payload.shrunk for layer in layers)
    if factor > 1:
        notes.append(f"The volume is too large for a browser: 1 of {factor} voxels along each side is shown.")
    return layers, notes


def describe(study: Study, layers: list[Layer]) -> dict[str, Any]:
    """What the page's script needs beside the volumes, as JSON values."""
    names = [str(name) for name in study.record.get("classes") or ["cortex"]]
    return {
        "layers": [
            {
                "role": layer.role,
                "title": layer.title,
                "kind": layer.kind,
                "low": layer.payload.low,
                "high": layer.payload.high,
            }
            for layer in layers
        ],
        "colours": [PALETTE[k % len(PALETTE)] for k in range(len(names))],
        "classes": names,
        "places": places_of(study),
    }


def render_study(
    study: Study, layers: list[Layer], notes: list[str], embedded: bool, address: str = "", nonce: str = ""
) -> str:
    """The page of one result.

    Args:
        study: which. layers, notes: see `layers_of`. embedded: volumes inside the page. address: of the volumes, else.
        nonce: that the scripts carry, for the content security policy; by default a random one, written into the page.
    """
    described = describe(study, layers) | {"address": address}
    volumes = {layer.role: base64.b64encode(compressed(layer.payload)).decode() for layer in layers if embedded}
    return _template("study.html").render(
        name=study.name,
        notice=study.record.get("notice", ""),
        verdict=verdict_of(study.record),
        warnings=[str(text) for text in study.record.get("warnings") or []],
        notes=notes,
        places=described["places"],
        overlays=[layer for layer in layers if layer.kind != "grey"],
        legend=list(zip(described["classes"], described["colours"], strict=True)),
        volumes_ml=volumes_of(study),
        numbers=numbers_of(study.record),
        origin=origin_of(study.record),
        described=described,
        embedded=volumes,
        nonce=nonce or secrets.token_urlsafe(16),
        style=_asset("page.css"),
        library=_asset("niivue.js"),
        script=_asset("page.js"),
    )


def render_list(studies: list[Study], nonce: str) -> str:
    """The list of a cohort: worst verdicts first, then by the number of warnings."""
    rows = [(number, study, verdict_of(study.record)) for number, study in enumerate(studies)]

    def badness(row: tuple[int, Study, dict[str, Any] | None]) -> tuple[int, int]:
        _, study, verdict = row
        order = {"do not use": 0, "look closely": 1, "usable": 3}
        return order.get(verdict["word"] if verdict else "", 2), -len(study.record.get("warnings") or [])

    rows.sort(key=badness)
    return _template("list.html").render(rows=rows, nonce=nonce, style=_asset("page.css"))


def write_view(study: Study, path: str | Path, largest: int = LARGEST_PAGE) -> None:
    """Write the page of one result as a single file that opens anywhere, without a network.

    Args:
        study: which. path: an .html file. largest: bytes.

    Raises:
        TooLarge: more than `largest`; nothing is written.
        VolumeError: a volume cannot be read, or the file cannot be written.
    """
    layers, notes = layers_of(study)
    text = render_study(study, layers, notes, embedded=True)
    if len(text) > largest:
        raise TooLarge(
            f"The page of {study.name} would have {len(text) / 1e6:.0f} MB, more than {largest / 1e6:.0f} MB; "
            "look at it with  segsrgan view  without --output."
        )
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _template(name: str) -> Any:
    return require("jinja2", extra="report").Environment(autoescape=True).from_string(_asset(name))


def _asset(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
