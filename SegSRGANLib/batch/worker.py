"""One job: claim, enhance in a staging folder, move into place with the record last."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..data.grid import Grid
from ..inference.brain_choice import AUTO, NONE
from ..inference.estimate import estimate
from ..inference.options import EnhanceOptions
from ..inference.pipeline import enhance
from ..inference.record import image_hash, name_stacks
from ..io.dicom.study import read_source
from ..io.volume import read_labels, read_volume
from ..models.brain_extractor import has_brain_extractor
from ..models.checkpoint import Model
from ..quality.preflight import contrast_warnings
from ..results.files import recorded_files, remove, save_enhancement
from ..utils.atomic_files import flush, flush_folder
from ..utils.errors import Cancelled
from ..utils.process_pool import BUSY, CANCELLED, DONE, FAILED, SKIPPED, Outcome
from ..utils.progress import Progress, ShouldStop, scaled, stop_if
from .claims import Claim
from .jobs import Job
from .layout import Layout, sidecars

_SAME_RESULT = ("spacing", "interpolator", "bias_correction", "threshold", "consistency", "uncertainty")


@dataclass(frozen=True)
class BatchOptions:
    """What holds for every volume of a batch.

    outdir: folder of the results. model: name or file. enhance: see `EnhanceOptions`; its spacing: one number or auto.
    overwrite: make results again that are there. maps: write the maps of quality. report: write an HTML page each.
    dicom: write DICOM into the studies of the scans, too. mask: for volumes without a mask of their own, "auto" to find
    the brain, "none" when they are brains already.
    """

    outdir: Path
    model: str
    enhance: EnhanceOptions
    overwrite: bool = False
    maps: bool = False
    report: bool = False
    dicom: bool = False
    mask: str = NONE

    @property
    def layout(self) -> Layout:
        """Where files go."""
        spacing = self.enhance.spacing
        return Layout(self.outdir, None if isinstance(spacing, str) else float(spacing))  # ty: ignore[invalid-argument-type]  # one number in a batch


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
            record = _enhance_into(claim.staging, job, options, model, progress, should_stop)
            return Outcome(job, DONE, "", time.perf_counter() - start, record)
    except Cancelled:
        return Outcome(job, CANCELLED, "stopped on request")
    # whatever is wrong with one volume, also what nobody foresaw, must not stop the others
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        return Outcome(job, FAILED, text, time.perf_counter() - start)


def existing(job: Job, options: BatchOptions, model: Model) -> Outcome | None:
    """The outcome of a job whose whole result is there: SKIPPED, or FAILED when it is of another scan or settings."""
    path = options.layout.record(job)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        made = {name: record["options"][name] for name in _SAME_RESULT}, record["model"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if not all(file.exists() for file in recorded_files(path)):
        return None
    options_now = asdict(options.enhance)
    if not _same_mask(record, job, options) or made != (
        {name: options_now[name] for name in _SAME_RESULT},
        model.sha256,
    ):
        return Outcome(job, FAILED, "a result with other settings is there: use --overwrite or another output folder")
    if [path.name for path in job.others] != [entry.get("file") for entry in record.get("stacks", [])[1:]]:
        return Outcome(job, FAILED, "the result of other stacks is there: use --overwrite or another output folder")
    made_from = record.get("stacks", [record["input"]])
    if any(_replaced_since(scan, path, entry) for scan, entry in zip(job.sources, made_from, strict=True)):
        return Outcome(job, FAILED, "the result of another scan is there: use --overwrite or another output folder")
    return Outcome(job, SKIPPED, "its result was there", record=record)


def _same_mask(record: dict[str, Any], job: Job, options: BatchOptions) -> bool:
    """Whether a result was made with the mask that the job would have now."""
    name = None if job.mask is None else job.mask.name
    if record["input"].get("mask_file", name) != name:
        return False
    source = record.get("mask", {}).get("source")
    if options.mask == AUTO and not has_brain_extractor():
        return name is not None or record.get("mask", {}).get("wanted") == AUTO
    return name is not None or source is None or source == {AUTO: "found", NONE: "none"}.get(options.mask)


def _replaced_since(scan: Path, result: Path, described: dict[str, Any]) -> bool:
    """Whether a scan is younger than its result and not the one that the record describes. Only a younger one is read:
    a look at a thousand finished volumes must take seconds."""
    try:
        files = list(scan.iterdir()) if scan.is_dir() else [scan]
        if max(file.stat().st_mtime for file in files) <= result.stat().st_mtime:
            return False
        return bool(image_hash(read_volume(scan)) != described["sha256"])
    except (OSError, ValueError):  # what cannot be read now is no other scan
        return False


def _enhance_into(
    staging: Path,
    job: Job,
    options: BatchOptions,
    model: Model,
    progress: Progress | None,
    should_stop: ShouldStop | None,
) -> dict[str, Any]:
    source = read_source(job.source) if options.dicom else None
    image, *others = [read_volume(path) for path in job.sources]
    scans = [image, *others] if others else image
    mask = options.mask if job.mask is None else read_labels(job.mask)
    share = estimate(Grid.of(image), model, mask, options.enhance).share(options.report)
    report = scaled(progress, 0, share)
    result = enhance(scans, model, options.enhance, mask=mask, progress=report, should_stop=should_stop)
    name_stacks(result.record, [path.name for path in job.sources])
    result.record["input"] |= {"file": job.source.name, "mask_file": None if job.mask is None else job.mask.name}
    result.record["warnings"] += contrast_warnings(job.name, 0, 1)
    files = save_enhancement(result, image, staging, job.name, maps=options.maps, source=source)  # the picture's title
    if options.report:
        from ..results.html_page import write_subject_report

        files["report"] = staging / f"{job.name}_report.html"
        write_subject_report(result, image, files["report"], job.name)
    stop_if(should_stop)
    _publish(files, job, options, result.record)
    return result.record


def _publish(files: dict[str, Path], job: Job, options: BatchOptions, record: dict[str, Any]) -> None:
    """Move the staged files into place. An old record goes first and the new one comes last, so that at no moment a
    record stands beside files that are not its own."""
    layout = options.layout
    target = layout.record(job)
    places = {path: layout.path(job, role) for role, path in files.items() if role != "record"}
    staged_record = files["record"]
    for place, text in sidecars(job, layout, files, record).items():
        staged = staged_record.with_name(place.name)
        staged.write_text(text, encoding="utf-8")
        places[staged] = place
    record["files"] = sorted(place.name for place in places.values())
    staged_record.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    target.parent.mkdir(parents=True, exist_ok=True)
    for path in (*places, staged_record):
        (flush_folder if path.is_dir() else flush)(path)
    earlier = recorded_files(target)
    target.unlink(missing_ok=True)
    for path in earlier:
        remove(path)
    for staged, place in places.items():
        if staged.is_dir():  # does not replace a folder, as a file does a file
            remove(place)
        os.replace(staged, place)
    flush_folder(target.parent)
    os.replace(staged_record, target)
    flush_folder(target.parent)
