"""One job: claim, enhance in a staging folder, move into place with the record last."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from ..data.grid import Grid
from ..inference.brain.choice import AUTO, NONE, BrainMask
from ..inference.options import EnhanceOptions
from ..inference.pipeline import enhance
from ..inference.record import image_hash, name_stacks
from ..inference.several.estimate import estimate_stacks
from ..inference.several.quality import map_names
from ..io.dicom.study import read_source
from ..io.volume import read_labels, read_volume
from ..models.brain_extractor import has_brain_extractor
from ..models.checkpoint import Model
from ..quality.assessment import MAP_NAMES
from ..quality.preflight import contrast_warnings
from ..results.files import check_writable, save_enhancement, write_record
from ..results.provenance import changed_file, describe_sources, edited_file, file_state, read_record, recorded_files
from ..results.publication import publish
from ..utils.atomic_files import named_as
from ..utils.errors import Cancelled
from ..utils.memory import kept_heap
from ..utils.process_pool import BUSY, CANCELLED, DONE, FAILED, SKIPPED, Outcome
from ..utils.progress import Progress, ShouldStop, scaled, stop_if
from .claims import Claim
from .jobs import Job
from .layout import Layout, sidecars

_LONG_NAMES = ("probability", "record", "brain", "cortex-entropy")  # roles whose files have the longest names
_SAME_RESULT = ("batch", "device")  # options of the prediction that do not change what a result is


@dataclass(frozen=True)
class BatchOptions:
    """What holds for every volume of a batch.

    outdir: folder of the results. model: name or file. enhance: options, spacing among them, see `EnhanceOptions`.
    overwrite: make results again that are there. maps: write the maps of quality. report: write an HTML page each.
    dicom: write DICOM into the studies of the scans, too. mask: for volumes without a mask of their own, "auto" to find
    the brain, "none" when they are brains already. geometry: see `read_volume`.
    """

    outdir: Path
    model: str
    enhance: EnhanceOptions
    overwrite: bool = False
    maps: bool = False
    report: bool = False
    dicom: bool = False
    mask: str = NONE
    geometry: str | None = None

    @property
    def layout(self) -> Layout:
        """Where files go."""
        spacing = self.enhance.spacing
        if isinstance(spacing, str):
            return Layout(self.outdir, None)
        return Layout(self.outdir, spacing if isinstance(spacing, tuple) else (spacing, spacing, spacing))


def process(
    job: Job,
    options: BatchOptions,
    model: Model,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> Outcome:
    """Do one job, unless its result is there or another process has claimed it. Never raises for a bad volume.

    Args:
        job: which. options: of the batch. model: loaded, shared by all jobs.
        progress: of this job. should_stop: asked between patches.
    """
    start = time.perf_counter()
    try:
        claim = Claim(options.outdir, job.key)
        with claim.held() as mine:
            if not mine:
                return Outcome(job, BUSY, "another process is at work on it")
            if not options.overwrite and (there := existing(job, options, model)):
                return there
            check_writable([options.layout.path(job, role) for role in _LONG_NAMES], overwrite=True)
            with named_as(claim.staging, options.layout.record(job).parent):
                record = _enhance_into(claim.staging, job, options, model, progress, should_stop)
            return Outcome(job, DONE, "", time.perf_counter() - start, record)
    except Cancelled:
        return Outcome(job, CANCELLED, "stopped on request")
    # whatever is wrong with one volume, also what nobody foresaw, must not stop the others
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        return Outcome(job, FAILED, text, time.perf_counter() - start)


def existing(job: Job, options: BatchOptions, model: Model) -> Outcome | None:
    """The outcome of a job whose whole result is there: SKIPPED, or FAILED when it is of another scan or settings.

    None when there is none, or when it lacks a file that is wanted now. A file that was changed since (a person's
    correction, or a damage) is neither taken for the result nor replaced.
    """
    path = options.layout.record(job)
    record = read_record(path)
    if record is None:
        return None
    if not all(file.exists() for file in recorded_files(path)):
        changed = edited_file(path)
        reason = f"{changed} is not as it was written, and another file of the result is missing"
        return Outcome(job, FAILED, f"{reason}: use --overwrite or another output folder") if changed else None
    lacks_output = not _wanted_files(job, options, record) <= {file.name for file in recorded_files(path)}
    if changed := edited_file(path) if lacks_output else changed_file(path):
        reason = f"{changed} is not as it was written"
    elif not _same_mask(record, job, options) or not _same_options(record, options, model):
        reason = "a result with other settings is there"
    elif other := _other_scans(record, job, options):
        reason = other
    elif job.mask is not None and _other_source(
        job.mask,
        record["input"].get("mask_state"),
        record["input"].get("mask_sha256"),
        partial(read_labels, geometry=options.geometry),
    ):
        reason = "the result with another mask is there"
    elif _other_masks(record, job, options):
        reason = "the result with another mask of a further stack is there"
    else:
        return None if lacks_output else Outcome(job, SKIPPED, "its result was there", record=record)
    return Outcome(job, FAILED, f"{reason}: use --overwrite or another output folder")


def _other_scans(record: dict[str, Any], job: Job, options: BatchOptions) -> str | None:
    """In words, when a result was not made from the scan of the job, or not from its stacks."""
    stacks = record.get("stacks") or [record["input"]]
    made_from = [entry if isinstance(entry, dict) else {} for entry in stacks] if isinstance(stacks, list) else []
    if [path.name for path in job.others] != [entry.get("file") for entry in made_from[1:]] or not made_from:
        return "the result of other stacks is there"
    read = partial(read_volume, geometry=options.geometry)
    pairs = zip(job.sources, made_from, strict=True)
    if any(_other_source(scan, entry.get("state"), entry.get("sha256"), read) for scan, entry in pairs):
        return "the result of another scan is there"
    return None


def _other_masks(record: dict[str, Any], job: Job, options: BatchOptions) -> bool:
    """Whether a result was made with other masks of the further stacks."""
    entries = [entry for entry in (record.get("stacks") or [])[1:] if entry.get("mask_file") is not None]
    if [entry["mask_file"] for entry in entries] != [path.name for path in job.other_masks]:
        return True
    pairs, read = zip(job.other_masks, entries, strict=True), partial(read_labels, geometry=options.geometry)
    return any(_other_source(path, e.get("mask_state"), e.get("mask_sha256"), read) for path, e in pairs)


def _wanted_files(job: Job, options: BatchOptions, record: dict[str, Any]) -> set[str]:
    """Names of the files that `--maps`, `--report` and `--dicom` add, as far as a record tells which there can be."""
    roles = ["report"] * options.report + ["dicom"] * options.dicom
    if options.maps:
        runs = bool(options.enhance.uncertainty)
        roles += [name for name in MAP_NAMES if name == "consistency" or (runs and name == "sr-deviation")]
        roles += map_names(len(job.sources))
    return {options.layout.path(job, role).name for role in roles}


def _same_options(record: dict[str, Any], options: BatchOptions, model: Model) -> bool:
    """Whether a result was made with these options and this model; what a record does not say is the default."""
    made, now = _comparable(asdict(EnhanceOptions())), _comparable(asdict(options.enhance))
    made |= _comparable(record["options"])
    return bool(made == now and record["model"].get("sha256") == model.sha256)


def _comparable(options: dict[str, Any]) -> dict[str, Any]:
    """Options without those that do not change a result, as JSON values, those of the prediction among the others."""
    prediction = options.get("prediction")
    prediction = prediction if isinstance(prediction, dict) else {}
    flat = {name: value for name, value in options.items() if name != "prediction"}
    flat |= {f"prediction.{name}": value for name, value in prediction.items() if name not in _SAME_RESULT}
    return dict(json.loads(json.dumps(flat)))


def _same_mask(record: dict[str, Any], job: Job, options: BatchOptions) -> bool:
    """Whether a result was made with the mask that the job would have now, by its name."""
    name = None if job.mask is None else job.mask.name
    if record["input"].get("mask_file", name) != name:
        return False
    mask = record.get("mask")
    mask = mask if isinstance(mask, dict) else {}
    if options.mask == AUTO and not has_brain_extractor():
        return name is not None or mask.get("wanted") == AUTO
    source = mask.get("source")
    return name is not None or source is None or source == {AUTO: "found", NONE: "none"}.get(options.mask)


def _other_source(path: Path, state: Any, sha256: Any, read: Callable[[Path], sitk.Image]) -> bool:
    """Whether a scan or mask is not the one of a record.

    Its voxels are only read when its name, length or time stamp are not as recorded: a look at a thousand finished
    volumes must take seconds.
    """
    if state is not None and state == file_state(path):
        return False
    try:
        return sha256 is not None and image_hash(read(path)) != sha256
    except (OSError, ValueError):  # what cannot be read now is no other scan
        return False


@kept_heap()  # what the computation frees serves the writing
def _enhance_into(
    staging: Path,
    job: Job,
    options: BatchOptions,
    model: Model,
    progress: Progress | None,
    should_stop: ShouldStop | None,
) -> dict[str, Any]:
    source = read_source(job.source) if options.dicom else None
    warnings: list[str] = []
    scans = [read_volume(path, geometry=options.geometry, warnings=warnings) for path in job.sources]
    read_mask = partial(read_labels, geometry=options.geometry, warnings=warnings)
    masks: list[BrainMask] = [read_mask(path) for path in job.masks] or [options.mask]
    stacks = _described_scans(job, masks)
    share = estimate_stacks([Grid.of(scan) for scan in scans], model, masks, options.enhance).share(options.report)
    report = scaled(progress, 0, share)
    result = enhance(scans, model, options.enhance, mask=masks, progress=report, should_stop=should_stop)
    name_stacks(result.record, stacks)
    result.record["input"] |= stacks[0]
    result.record["warnings"] += warnings + contrast_warnings(job.name, 0, 1)
    title = job.name
    files = save_enhancement(result, scans[0], staging, title, maps=options.maps, source=source, report=options.report)
    stop_if(should_stop)
    _publish(files, job, options, result.record)
    return result.record


def _described_scans(job: Job, masks: list[BrainMask]) -> list[dict[str, Any]]:
    """What the record says of the files of each stack, see `describe_sources`."""
    hashes = [image_hash(mask) for mask in masks if isinstance(mask, sitk.Image)]
    missing = [None] * (len(job.sources) - len(hashes))
    return [
        describe_sources(*files) for files in zip(job.sources, [*job.masks, *missing], [*hashes, *missing], strict=True)
    ]


def _publish(files: dict[str, Path], job: Job, options: BatchOptions, record: dict[str, Any]) -> None:
    """Move the staged files to the places that the layout has for them."""
    layout = options.layout
    places = {path: layout.path(job, role) for role, path in files.items() if role != "record"}
    for place, text in sidecars(job, layout, files, record).items():
        staged = files["record"].with_name(place.name)
        staged.write_text(text, encoding="utf-8")
        places[staged] = place
    write_record(files["record"], record, places)
    publish(places, files["record"], layout.record(job))
