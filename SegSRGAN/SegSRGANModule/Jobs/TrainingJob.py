"""Scene -> files that `segsrgan train` reads: the volumes, their labels, a table and a configuration."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

from slicer.i18n import tr as _

from ..ParameterNode import RANDOM
from ..Scene.Terminology import SEGMENT_ID
from ..Scene.VolumeNodes import labelsOfSegments, writeLabels, writeVolume
from . import TrainingClasses
from .TrainingPairs import TEST, TRAIN, Pair

_CORTEX = re.compile(r"cort(ex|ical)|grey matter|gray matter", re.IGNORECASE)


def outputFolder(parameters) -> Path:
    """The folder of this training: the chosen folder and the model's name.

    Raises:
        ValueError: a name that cannot be a file name, or no folder.
    """
    name, folder = parameters.trainingName.strip(), parameters.trainingFolder.strip()
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}", name):
        raise ValueError(
            _("Name the model with letters, digits, '.', '_', '+' and '-', not {name!r}.").format(name=name)
        )
    if not folder or not Path(folder).is_absolute():
        raise ValueError(_("Choose the folder to train in."))
    return Path(folder) / name


def check(parameters, pairs: list[Pair]) -> None:
    """Raise ValueError with what is missing, before anything is written."""
    outputFolder(parameters)
    if parameters.thicknessMinimum > parameters.thicknessMaximum:
        raise ValueError(_("The thinnest slices must not be thicker than the thickest."))
    if parameters.trainingCsv:
        if not Path(parameters.trainingCsv).is_file():
            raise ValueError(_("There is no table {path}.").format(path=parameters.trainingCsv))
        _checkLabel(parameters, True)
        return
    for base in (TRAIN, TEST):
        if not any(pair.base == base for pair in pairs):
            raise ValueError(_("Add at least one pair for {use}.").format(use=base))
    _checkLabel(parameters, any(pair.labels.IsA("vtkMRMLLabelMapVolumeNode") for pair in pairs))


def _checkLabel(parameters, hasLabelMaps: bool) -> None:
    """A wrong label would train the wrong tissue, so there is none by default."""
    if hasLabelMaps and not parameters.label:
        raise ValueError(_("Choose the label of the cortex in the label maps."))


def _label(parameters) -> int:
    """In the files: that of the label maps; any number will do for segmentations alone."""
    return parameters.label or 1


def prepare(parameters, pairs: list[Pair], base: str, resume: bool = False, classes: tuple[str, ...] = ()) -> Path:
    """Write everything; returns the configuration file.

    Args:
        base: name of the model to start from, or RANDOM.
        classes: the tissues of that model; more than one need a segmentation of each in every pair.

    Raises:
        ValueError: a volume or segmentation that cannot be used, or the folder holds a training and `resume` is False.
        OSError: the folder cannot be written.
    """
    output = outputFolder(parameters)
    if not resume and canResume(parameters):
        text = _("{folder} holds a training already: press Resume to go on with it, or choose another name.")
        raise ValueError(text.format(folder=output))
    table = Path(parameters.trainingCsv) if parameters.trainingCsv else output / "subjects.csv"
    if not (resume and table.is_file()):  # a training that goes on has its data
        check(parameters, pairs)
    output.mkdir(parents=True, exist_ok=True)
    if not table.is_file() or not (resume or parameters.trainingCsv):
        _writeTable(table, output / "data", pairs, _label(parameters), classes if len(classes) > 1 else ())
    configuration = output / "panel.json"
    values = _configuration(parameters, output, table, resume)
    values |= _begun(configuration) if resume else {}
    if "init" not in values:
        values |= _taught(parameters, base, classes)
    configuration.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    return configuration


def _configuration(parameters, output: Path, table: Path, resume: bool) -> dict:
    """What `segsrgan train` reads, beside the model to start from and the tissues."""
    return {
        "output": str(output),
        "csv": str(table),
        "epochs": parameters.epochs,
        "patches_per_subject": parameters.patchesPerVolume,
        "device": parameters.trainingDevice,
        "slice_thickness": [parameters.thicknessMinimum, parameters.thicknessMaximum],
        "title": parameters.trainingName,
        "resume": resume,
    }


def _taught(parameters, base: str, classes: tuple[str, ...]) -> dict:
    """The model to start from, and the labels that it learns."""
    values: dict = {"init": None if base == RANDOM else base}
    if len(classes) > 1:
        return {**values, "classes": {name: [number] for number, name in enumerate(classes, start=1)}}
    return {**values, "label": _label(parameters)}


def _begun(configuration: Path) -> dict:
    """What a training that goes on was begun with: the pairs in the list may be others by now."""
    if not configuration.is_file():
        return {}
    values = json.loads(configuration.read_text(encoding="utf-8"))
    return {name: values[name] for name in ("init", "label", "classes") if name in values}


def canResume(parameters) -> bool:
    try:
        return (outputFolder(parameters) / "state.safetensors").is_file()
    except ValueError:
        return False


def readLog(folder: Path) -> list[dict[str, float]]:
    """The rows of log.csv, one an epoch; what is not a number is left out."""
    path = folder / "log.csv"
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return [_numbers(row) for row in csv.DictReader(stream)]


def beforeAfter(rows: list[dict[str, float]]) -> str:
    """The first measured epoch against the best one, and against interpolation."""
    measured = [row for row in rows if "psnr" in row]
    if not measured:
        return ""
    first, best = measured[0], max(measured, key=lambda row: row["psnr"])
    text = _("PSNR {first:.2f} -> {best:.2f} dB (epoch {epoch:.0f})").format(
        first=first["psnr"], best=best["psnr"], epoch=best.get("epoch", 0)
    )
    if "psnr_spline" in best:
        text += _("; interpolation {value:.2f} dB").format(value=best["psnr_spline"])
    if "dice" in first and "dice" in best:
        text += _(". Dice {first:.3f} -> {best:.3f}").format(first=first["dice"], best=best["dice"])
    return text


def cortexSegments(segmentationNode) -> list[str]:
    """The segment that is the cortex: ours, the only one, or the one whose name says so.

    Raises:
        ValueError: none or several could be meant.
    """
    segmentation = segmentationNode.GetSegmentation()
    ids = list(segmentation.GetSegmentIDs())
    named = [i for i in ids if i == SEGMENT_ID or _CORTEX.search(segmentation.GetSegment(i).GetName())]
    found = ids if len(ids) == 1 else named
    if len(found) != 1:
        text = _("{name} needs one segment whose name contains 'cortex'; it has {count}.")
        raise ValueError(text.format(name=segmentationNode.GetName(), count=len(named)))
    return found


def _writeTable(table: Path, folder: Path, pairs: list[Pair], label: int, classes: tuple[str, ...]) -> None:
    """classes: several tissues, which get the labels 1, 2, 3 ...; () for the cortex alone."""
    import SimpleITK as sitk

    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, pair in enumerate(pairs, start=1):
        image, labels = (folder / f"sub-{number:03d}_{kind}.nrrd" for kind in ("T2w", "dseg"))
        writeVolume(pair.volume, image)
        if classes:
            segments = TrainingClasses.segmentsOf(pair.labels, classes)
            sitk.WriteImage(labelsOfSegments(pair.labels, pair.volume, segments), str(labels), True)
        else:
            isSegmentation = pair.labels.IsA("vtkMRMLSegmentationNode")
            segments = cortexSegments(pair.labels) if isSegmentation else None
            writeLabels(pair.labels, pair.volume, labels, value=label, segmentIds=segments)
        rows.append({"HR_image": str(image), "Label_image": str(labels), "Base": pair.base})
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, ["HR_image", "Label_image", "Base"])
        writer.writeheader()
        writer.writerows(rows)


def _numbers(row: dict[str, str]) -> dict[str, float]:
    numbers = {}
    for name, text in row.items():
        try:
            numbers[name] = float(text)
        except (TypeError, ValueError):
            continue
    return numbers
