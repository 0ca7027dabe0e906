"""The page of one result and the list of a cohort as HTML: in one file, or with its volumes fetched from the server."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...data.classes import Colour, display_colours
from ...utils.atomic_files import atomic_path
from ...utils.errors import VolumeError
from ...utils.optional import require
from ...visualization.palette import BRAIN_MASK
from ..page_facts import numbers_of, origin_of
from .facts import places_of, verdict_of
from .study import Study
from .volumes import Payload, compressed, intensity_payload, label_payload, scan_payload

LARGEST_PAGE = 96_000_000  # bytes of a page in one file; browsers open larger ones slowly or not at all
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
    """One volume of the page.

    role: as in `Study.files`, or "scan". kind: "grey", "labels" or "map". names, colours: of label 1, 2 ...
    """

    role: str
    title: str
    kind: str
    payload: Payload
    names: tuple[str, ...] = ()
    colours: tuple[Colour, ...] = ()


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
    overlays, more = _overlays_of(study)
    layers, notes = layers + overlays, notes + more
    factor = max(layer.payload.shrunk for layer in layers)
    if factor > 1:
        notes.append(f"The volume is too large for a browser: 1 of {factor} voxels along each side is shown.")
    return layers, notes


def _overlays_of(study: Study) -> tuple[list[Layer], list[str]]:
    """Segmentation and brain mask in the colours of all pictures; maps; a sentence for each that cannot be shown."""
    layers, notes = [], []
    for role in [role for role in ("labels", "brain", *_MAP_TITLES) if role in study.files]:
        try:
            layers.append(_overlay(study, role))
        except VolumeError as error:
            notes.append(str(error))
    return layers, notes


def _overlay(study: Study, role: str) -> Layer:
    path, names = study.files[role], _classes(study)
    if role == "labels":
        title = names[0] if len(names) == 1 else "segmentation"
        return Layer(role, title, "labels", label_payload(path), names, display_colours(names))
    if role == "brain":
        red, green, blue = bytes.fromhex(BRAIN_MASK[1:])
        return Layer(role, "brain mask", "labels", label_payload(path), ("brain mask",), ((red, green, blue),))
    return Layer(role, _MAP_TITLES[role], "map", intensity_payload(path))


def _classes(study: Study) -> tuple[str, ...]:
    return tuple(str(name) for name in study.record.get("classes") or ["cortex"])


def volumes_of(layers: list[Layer]) -> list[tuple[str, float]]:
    """Millilitres of each class that the segmentation's file holds, and of the brain mask."""
    pairs = [pair for layer in layers for pair in zip(layer.names, layer.payload.volumes_ml, strict=False)]
    return [(name, volume) for name, volume in pairs if volume > 0]


def describe(study: Study, layers: list[Layer]) -> dict[str, Any]:
    """What the page's script needs beside the volumes, as JSON values."""
    return {
        "layers": [
            {
                "role": layer.role,
                "title": layer.title,
                "kind": layer.kind,
                "low": layer.payload.low,
                "high": layer.payload.high,
                "names": layer.names,
                "colours": layer.colours,
            }
            for layer in layers
        ],
        "places": places_of(study),
    }


def render_study(
    study: Study, layers: list[Layer], notes: list[str], embedded: bool, address: str = "", nonce: str = ""
) -> str:
    """The page of one result.

    Args:
        study: which. layers, notes: see `layers_of`. embedded: volumes inside the page. address: of the volumes, else.
        nonce: that the scripts carry, for the content security policy; by default a random one, written into the page.

    Raises:
        VolumeError: the record lacks what every record has.
    """
    try:
        numbers, origin = numbers_of(study.record), origin_of(study.record)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise VolumeError(f"The record of {study.name} is incomplete ({error!r}): make the result again.") from error
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
        legend=[pair for layer in layers for pair in zip(layer.names, layer.colours, strict=True)],
        volumes_ml=volumes_of(layers),
        numbers=numbers,
        origin=origin,
        described=described,
        embedded=volumes,
        nonce=nonce or secrets.token_urlsafe(16),
        style=_asset("page.css"),
        library=_asset("niivue.js"),
        script=_asset("page.js"),
    )


def render_list(studies: list[Study], nonce: str) -> str:
    """The list of a cohort: worst verdicts first, then by the number of reasons to look."""
    rows = [(number, study, *_judged(study)) for number, study in enumerate(studies)]
    order = {"do not use": 0, "look closely": 1, "usable": 3}
    rows.sort(key=lambda row: (order.get(row[2]["word"] if row[2] else "", 2), -len(row[3])))
    return _template("list.html").render(rows=rows, nonce=nonce, style=_asset("page.css"))


def _judged(study: Study) -> tuple[dict[str, Any] | None, list[str]]:
    """The verdict, and its reasons; the warnings where it gives none."""
    verdict = verdict_of(study.record)
    reasons = verdict["reasons"] if verdict else []
    return verdict, list(reasons or map(str, study.record.get("warnings") or []))


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
