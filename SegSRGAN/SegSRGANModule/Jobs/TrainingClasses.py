"""Which tissues a training learns: those of the model that it starts from, named by the segmentations of the pairs."""

from __future__ import annotations

from slicer.i18n import tr as _

from ..Models import ModelChoice
from ..Scene.Terminology import titleOf
from .TrainingPairs import Pair


def areSeveral(model: ModelChoice | None) -> bool:
    """Whether a model segments more than one tissue, so that every pair has to have all of them."""
    return model is not None and len(model.classes) > 1


def segmentsOf(segmentationNode, classes: tuple[str, ...]) -> list[str]:
    """Ids of the segments of these classes, in their order: segments that a run made, or that are called so.

    Raises:
        ValueError: the classes without a segment.
    """
    segmentation = segmentationNode.GetSegmentation()
    names = {i: segmentation.GetSegment(i).GetName().strip().lower() for i in segmentation.GetSegmentIDs()}
    found: dict[str, str] = {}
    for name in classes:
        called = [i for i, text in names.items() if i == name or text in (name.lower(), titleOf(name).lower())]
        if called:
            found[name] = called[0]
    if missing := [name for name in classes if name not in found]:
        text = _("{name} lacks {tissues}.")
        raise ValueError(text.format(name=segmentationNode.GetName(), tissues=", ".join(missing)))
    return [found[name] for name in classes]


def problem(model: ModelChoice | None, pairs: list[Pair], hasTable: bool) -> str:
    """Why these data cannot train a model of several tissues, in one sentence; "" when they can."""
    if model is None or not areSeveral(model):
        return ""
    if hasTable:
        reason = _("A table gives one label.")
    elif maps := [pair.labels for pair in pairs if not pair.labels.IsA("vtkMRMLSegmentationNode")]:
        reason = _("{name} is a label map.").format(name=maps[0].GetName())
    else:
        reason = _firstLack(model, pairs)
    if not reason:
        return ""
    text = _("{model} segments {count} tissues, and a segmentation with all of them is needed in every pair. {reason}")
    return text.format(model=model.title, count=len(model.classes), reason=reason)


def defaultBase(models: list[ModelChoice], default: str, pairs: list[Pair], hasTable: bool) -> str:
    """The model to start from while none was chosen: the default one, or one of the cortex where data teach no more.

    "" when no model is there.
    """
    first = next((model for model in models if model.key == default), None)
    if first and not problem(first, pairs, hasTable):
        return first.key
    return next((model.key for model in models if not areSeveral(model)), "")


def _firstLack(model: ModelChoice, pairs: list[Pair]) -> str:
    for pair in pairs:
        try:
            segmentsOf(pair.labels, model.classes)
        except ValueError as error:
            return str(error)
    return ""
