"""What the page of a result says in words and numbers; from the record alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..quality.domain import TITLES

_NUMBERS = {
    ("cortex", "volume_ml"): "volume of the {name}, mL",
    ("uncertainty", "volume_interval_ml"): "over mirrored and shifted runs, mL",
    ("cortex", "expected_volume_ml"): "sum of the probability of {name}, mL",
    ("cortex", "surface_cm2"): "surface of the {name}, cm²",
    ("cortex", "euler_number"): "Euler number of the {name} (pieces - tunnels + cavities)",
    ("cortex", "components"): "pieces of the {name}",
    ("consistency", "psnr"): "agreement with the scan, PSNR in dB",
    ("consistency", "bias_percent"): "mean difference to the scan, % of its range",
    ("consistency", "z_max"): "largest local difference, times the usual one",
    ("consistency", "slice_z_max"): "largest difference of a slice, times the usual one",
    ("uncertainty", "deviation_percent"): "spread of the intensity over the runs, %",
    ("uncertainty", "entropy_bits"): "entropy in the {name}, bits (0 sure, 1 a guess)",
}
_MASKS = {
    "found": "found by the program",
    "given": "given",
    "none": "none: the whole volume was taken for a brain",
}


def numbers_of(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Label and value of every figure of quality."""
    quality, found = record["quality"], []
    name = next(iter(record.get("classes") or ()), "cortex")
    for (group, key), label in _NUMBERS.items():
        value = (quality.get(group) or {}).get(key)
        if isinstance(value, list):
            value = " to ".join(f"{v:.3g}" for v in value)
        if value is not None:
            found.append((label.format(name=name), f"{value:.4g}" if isinstance(value, float) else str(value)))
    if bias := (record.get("verdict") or {}).get("volume_bias_percent"):
        found.insert(1, ("usual error of this volume on sources left out of the training, %", _signed(bias)))
    return found + _stack_numbers(record.get("stacks") or [])


def _stack_numbers(stacks: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Of each of several stacks: how it was registered, what was left out, and how well the result agrees with it."""
    found = []
    for entry in stacks:
        if registration := entry.get("registration"):
            moved = f"{registration['moved_mm']:.3g} mm, {registration['rotated_degrees']:.3g} degrees"
            found.append((f"{entry['name']}: moved since the first one", moved))
        left_out = ", ".join(str(index + 1) for index in entry["slices_left_out"]) or "none"
        found.append((f"{entry['name']}: slices left out, of {entry['slices']}", left_out))
        agreement = [entry["consistency"][key] for key in ("psnr", "psnr_of_first_alone")]
        texts = ["exact" if value is None else f"{value:.4g}" for value in agreement]
        text = f"{texts[0]} (first stack alone: {texts[1]})"
        found.append((f"{entry['name']}: agreement with the result, PSNR in dB", text))
    return found


def training_of(record: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Measure, value and its range in the training, of what was compared with the training."""
    items = record["quality"].get("domain") or {}
    return [
        (
            TITLES.get(name, name.replace("_", " ")),
            f"{item['value']:.3g}",
            " to ".join(f"{v:.3g}" for v in item["training"]),
        )
        for name, item in items.items()
    ]


def missing_checks(record: Mapping[str, Any]) -> list[str]:
    """What was not checked, in sentences: a check that was not made looks like a check that was passed."""
    quality, found = record["quality"], []
    source = (record.get("mask") or {}).get("source", "none")
    if source == "none":
        found.append("No brain mask was used: whether the volume shows anything but a brain was not checked.")
    if "contrast" not in (quality.get("domain") or {}):
        found.append("Size, shape and contrast of the brain were not compared with those of the training.")
    if "uncertainty" not in quality:
        found.append("How sure the model is was not measured (option: uncertainty).")
    return found


def origin_of(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the result was made from and with."""
    scan, mask = record["input"], record.get("mask") or {}
    volume = f", {mask['volume_ml']:.0f} mL" if mask.get("volume_ml") else ""
    size, spacing = (_times(scan["grid"][key]) for key in ("size", "spacing"))
    rows = [("scan", f"{scan.get('file') or 'a volume in memory'}: {size} voxels of {spacing} mm")]
    for entry in (record.get("stacks") or [])[1:]:
        size, spacing = (_times(entry["grid"][key]) for key in ("size", "spacing"))
        rows.append((entry["name"], f"{entry.get('file') or 'a volume in memory'}: {size} voxels of {spacing} mm"))
    if output := record.get("output"):
        rows.append(("result", f"{_times(output['size'])} voxels of {_times(output['spacing'])} mm"))
    if mask:
        file = f" ({scan['mask_file']})" if scan.get("mask_file") else ""
        rows.append(("brain mask", f"{_MASKS.get(mask.get('source'), 'none')}{file}{volume}"))
    software = record["software"]
    return rows + [
        ("model", f"{record['model']['title']} (SHA-256 {record['model']['sha256'][:12]})"),
        ("software", f"SegSRGAN {software['segsrgan']}, PyTorch {software['torch']}"),
        ("computed", f"{_date(record['date'])}, in {record['seconds']['total']:.0f} s, on {record['device']}"),
    ]


def _signed(bounds: Any) -> str:
    return " to ".join(f"{value:+.0f}" for value in bounds)


def _date(text: str) -> str:
    """ "2026-11-28 02:40 UTC" of an ISO date."""
    return text[:16].replace("T", " ") + (" UTC" if text.endswith("+00:00") else "")


def _times(values: Any) -> str:
    return " x ".join(f"{value:.3g}" for value in values)
