"""The report of one result: a page that holds everything in one file, or its picture."""

from __future__ import annotations

import base64
import html
import shutil
from pathlib import Path

from slicer.i18n import tr as _

from .Scene.ResultNodes import folderOf, recordOf
from .Scene.SegmentVolumes import volumesOf

_STYLE = "body{font-family:sans-serif;max-width:60em;margin:2em auto}td{padding:.1em 1em .1em 0}img{max-width:100%}"


def summary(record: dict) -> str:
    """One or two lines for the panel: model, device, time, warnings."""
    model = record.get("model", {})
    parts = [
        _("Model: {name}").format(name=model.get("title") or model.get("name", "?")),
        _("device: {name}").format(name=record.get("device", "?")),
    ]
    seconds = record.get("seconds", {}).get("total")
    if seconds:
        parts.append(_("{seconds:.0f} s").format(seconds=seconds))
    return "\n".join([", ".join(parts), *(f"\u26a0 {warning}" for warning in record.get("warnings", []))])


def save(path: Path, volumeNode, segmentationNode=None) -> None:
    """Write the report of a result as .html or .png.

    Raises:
        ValueError: no such ending, or the picture of the run is not there any more. OSError: it cannot be written.
    """
    folder = folderOf(volumeNode)
    picture = next(iter(sorted(folder.glob("*_qc.png"))), None) if folder else None
    if path.suffix.lower() == ".png":
        if picture is None:
            raise ValueError(_("The picture belongs to the session of the run; run Apply again to save it."))
        shutil.copyfile(picture, path)
    elif path.suffix.lower() in (".html", ".htm"):
        path.write_text(_page(volumeNode, segmentationNode, picture), encoding="utf-8")
    else:
        raise ValueError(
            _("A report is saved as .html or .png, not as {ending}.").format(ending=path.suffix or path.name)
        )


def _page(volumeNode, segmentationNode, picture: Path | None) -> str:
    title = html.escape(volumeNode.GetName())
    volumes = volumesOf(segmentationNode) if segmentationNode else []
    rows = "".join(f"<tr><td>{html.escape(name)}</td><td>{value:.1f} mL</td></tr>" for name, value in volumes)
    record = recordOf(volumeNode) or {}
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
        "<p><b>Research use only. Not a medical device.</b></p>"
        f"<table>{rows}</table>{_image(picture)}<h2>Record of the run</h2><table>{_rows(record)}</table></body></html>"
    )


def _image(picture: Path | None) -> str:
    if picture is None:
        return ""
    data = base64.b64encode(picture.read_bytes()).decode("ascii")
    return f'<p><img alt="Input, result and cortex in three planes" src="data:image/png;base64,{data}"></p>'


def _rows(value: dict, prefix: str = "") -> str:
    """The record as table rows, nested names joined with dots."""
    rows = []
    for name, item in value.items():
        if isinstance(item, dict):
            rows.append(_rows(item, f"{prefix}{name}."))
        else:
            rows.append(f"<tr><td>{html.escape(prefix + str(name))}</td><td>{html.escape(str(item))}</td></tr>")
    return "".join(rows)
