"""The record of a run in words and rows, for a reader. Nothing here touches the scene."""

from __future__ import annotations

import re

from slicer.i18n import tr as _

_SIDES = (("R", "L"), ("A", "P"), ("S", "I"))  # positive, negative along each axis of RAS
_WARNING = "\u26a0"
_MOST_OF_SEVERAL = 0.999


def verdict(record: dict | None) -> str:
    """The verdict with its reasons and the predicted Dice; says so where the run made none."""
    found = (record or {}).get("verdict")
    if not found:
        return _("No verdict: this run was not judged. Look at the result yourself.")
    lines = [_("Verdict: {word}").format(word=str(found.get("word", "?")).upper())]
    lines += [f"\u2022 {reason}" for reason in found.get("reasons", [])]
    if dice := _predictedDice(found.get("predicted_dice")):
        lines.append(dice)
    return "\n".join(lines)


def summary(record: dict | None) -> str:
    """Model, device and time in a line, then the warnings of the run."""
    if not record:
        return ""
    model = record.get("model", {})
    parts = [
        _("Model: {name}").format(name=model.get("title") or model.get("name", "?")),
        _("device: {name}").format(name=_device(str(record.get("device", "?")))),
    ]
    seconds = record.get("seconds", {}).get("total")
    if seconds:
        parts.append(_("{seconds:.0f} s").format(seconds=seconds))
    if mask := _mask(record.get("mask")):
        parts.append(mask)
    return "\n".join([", ".join(parts), *(f"{_WARNING} {warning}" for warning in record.get("warnings", []))])


def agreement(record: dict | None) -> str:
    """How well the result, acquired again, agrees with the scan, and what the cortex is like."""
    quality = (record or {}).get("quality", {})
    consistency, cortex = quality.get("consistency"), quality.get("cortex")
    lines = []
    if consistency:
        lines.append(_agreementLine(consistency))
    if cortex and cortex.get("largest_component") is not None:
        lines.append(_cortexLine(cortex))
    return "\n".join(lines) or _("This run measured no agreement.")


def placesNote(count: int, shownFrom: float) -> str:
    """What an empty list of places means."""
    if count:
        return ""
    return _("No place differs by {limit:.0f} standard deviations or more.").format(limit=shownFrom)


def expected(record: dict | None, name: str) -> str:
    """The expected volume of a class in mL, "low to high" or one number; "" where the run did not measure it."""
    quality = (record or {}).get("quality", {})
    if name != next(iter((record or {}).get("classes", ["cortex"])), None):
        return ""  # only the first class is measured
    if interval := quality.get("uncertainty", {}).get("volume_interval_ml") or _unbiased(record or {}, quality):
        return _("{low:.1f} to {high:.1f}").format(low=interval[0], high=interval[1])
    value = quality.get("cortex", {}).get("expected_volume_ml")
    return "" if value is None else f"{value:.1f}"


def _unbiased(record: dict, quality: dict) -> tuple[float, float] | None:
    """From and to, mL: the measured volume without the bias that the model was seen to have."""
    bias, volume = (record.get("verdict") or {}).get("volume_bias_percent"), quality.get("cortex", {}).get("volume_ml")
    if not bias or volume is None:
        return None
    return volume / (1 + max(bias) / 100), volume / (1 + min(bias) / 100)


def position(ras: tuple[float, float, float]) -> str:
    """For instance "12 mm R, 5 mm A, 30 mm S", as Slicer shows it."""
    return ", ".join(f"{abs(p):.0f} mm {side[int(p < 0)]}" for p, side in zip(ras, _SIDES, strict=True))


def _mask(mask: dict | None) -> str:
    """Where the brain mask came from; "" where the record does not say."""
    if not mask:
        return ""
    sources = {"given": _("given"), "found": _("found by the program"), "none": _("none")}
    text = _("brain mask: {source}").format(source=sources.get(mask.get("source"), "?"))
    return text if mask.get("volume_ml") is None else f"{text} ({mask['volume_ml']:.0f} mL)"


def _agreementLine(consistency: dict) -> str:
    psnr = consistency.get("psnr")
    level = _("exact") if psnr is None else _("PSNR {value:.1f} dB").format(value=psnr)
    region = _("in the brain mask") if consistency.get("region") == "mask" else _("everywhere but air")
    text = _(
        "Agreement: {level} {region}. Largest difference: {largest:.1f} standard deviations in a place, {slice:.1f} in "
        "a whole slice."
    )
    largest, ofSlice = consistency.get("z_max", 0.0), consistency.get("slice_z_max", 0.0)
    return text.format(level=level, region=region, largest=largest, slice=ofSlice)


def _cortexLine(cortex: dict) -> str:
    if cortex["components"] == 1:
        parts = [_("Cortex: one piece")]
    else:
        text = _("Cortex: {pieces} pieces, {share:.1f} % of it in the largest")
        share = 100 * min(cortex["largest_component"], _MOST_OF_SEVERAL)  # never all of it in one of several
        parts = [text.format(pieces=cortex["components"], share=share)]
    if cortex.get("surface_cm2"):
        parts.append(_("surface {area:.0f} cm\u00b2").format(area=cortex["surface_cm2"]))
    return "; ".join(parts) + "."


def _device(text: str) -> str:
    """As the record has it, "cpu (1 threads)" or "cuda (NVIDIA H100)", for a reader."""
    if not (counted := re.fullmatch(r"cpu \((\d+) threads\)", text)):
        return text
    number = int(counted[1])
    return _("CPU, 1 thread") if number == 1 else _("CPU, {number} threads").format(number=number)


def _predictedDice(dice: dict | None) -> str:
    """As `quality.verdict.give_verdict` writes it; "" where none was predicted."""
    if not dice:
        return ""
    text = _("Predicted Dice of the cortex: {value:.2f} ({low:.2f} to {high:.2f})")
    return text.format(value=dice["value"], low=dice["low"], high=dice["high"])
