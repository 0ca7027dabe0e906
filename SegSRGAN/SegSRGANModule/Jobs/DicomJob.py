"""A result of the scene, edited or not, as DICOM in the study of its scan: `segsrgan dicom` in a child process."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import slicer

from ..Scene import ResultNodes, SegmentEdits
from ..Scene.VolumeNodes import imageFromVolume, labelsOfSegments
from .ChildProcess import ChildProcess, Outcome

_NAME = "result"


def start(result, segmentation, source: Path, folder: Path, completed: Callable[[Outcome], None]) -> ChildProcess:
    """Write the files for the child, and launch it.

    Args:
        result: the enhanced volume. segmentation: all of its segments become segments of the SEG; None for none.
        source: a file of the scan's DICOM series. folder: a new or empty one.

    Raises:
        ValueError: no record, or names of segments that DICOM cannot tell apart.
    """
    record = ResultNodes.recordOf(result)
    inputs = Path(tempfile.mkdtemp(prefix="SegSRGAN-", dir=slicer.app.temporaryPath))

    def finish(outcome: Outcome) -> None:
        shutil.rmtree(inputs, ignore_errors=True)
        completed(outcome)

    try:
        edited = _write(inputs, result, segmentation, record or {})
        arguments = ["dicom", str(inputs / f"{_NAME}_record.json"), "--source", str(source), "-o", str(folder)]
        return ChildProcess(arguments + (["--edited"] if edited else []), finish).start()
    except BaseException:
        shutil.rmtree(inputs, ignore_errors=True)
        raise


def _write(folder: Path, result, segmentation, record: dict) -> bool:
    """Write what `segsrgan predict` would have left; returns whether a person changed the segmentation."""
    import SimpleITK as sitk

    from SegSRGANLib.data.classes import CORTEX, checked_names

    sitk.WriteImage(sitk.Cast(imageFromVolume(result), sitk.sitkFloat32), str(folder / f"{_NAME}_sr.nii.gz"))
    classes, edited = [], False
    if segmentation is not None and segmentation.GetSegmentation().GetNumberOfSegments():
        made, contents = ResultNodes.classesOf(record), segmentation.GetSegmentation()
        ids = list(contents.GetSegmentIDs())
        classes = list(checked_names(i if i in made else contents.GetSegment(i).GetName() for i in ids))
        edited = ids != made or bool(SegmentEdits.editedSegments(segmentation))
        ending = "cortex" if classes == [CORTEX] else "segmentation"
        sitk.WriteImage(labelsOfSegments(segmentation, result, ids), str(folder / f"{_NAME}_{ending}.nii.gz"))
    (folder / f"{_NAME}_record.json").write_text(json.dumps({**record, "classes": classes}), encoding="utf-8")
    return edited
