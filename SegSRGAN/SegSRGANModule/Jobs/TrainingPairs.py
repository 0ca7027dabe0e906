"""Which volumes of the scene to train on: node references of the parameter node, so a saved scene keeps them."""

from __future__ import annotations

from typing import Any, NamedTuple

from slicer.i18n import tr as _

TRAIN, TEST = "Train", "Test"
_VOLUME_ROLE, _LABELS_ROLE, _BASES = "trainingVolume", "trainingLabels", "trainingBases"


class Pair(NamedTuple):
    """A high-resolution volume, its segmentation or label map, and what it is for: Train or Test."""

    volume: Any
    labels: Any
    base: str


def read(parameterNode) -> list[Pair]:
    """The pairs whose nodes are still there, in the order they were added."""
    bases = (parameterNode.GetParameter(_BASES) or "").split(",")
    pairs = []
    for index in range(parameterNode.GetNumberOfNodeReferences(_VOLUME_ROLE)):
        volume = parameterNode.GetNthNodeReference(_VOLUME_ROLE, index)
        labels = parameterNode.GetNthNodeReference(_LABELS_ROLE, index)
        if volume and labels:
            pairs.append(Pair(volume, labels, bases[index] if index < len(bases) else TRAIN))
    return pairs


def write(parameterNode, pairs: list[Pair]) -> None:
    """Replace all pairs."""
    was = parameterNode.StartModify()
    parameterNode.RemoveNodeReferenceIDs(_VOLUME_ROLE)
    parameterNode.RemoveNodeReferenceIDs(_LABELS_ROLE)
    for pair in pairs:
        parameterNode.AddNodeReferenceID(_VOLUME_ROLE, pair.volume.GetID())
        parameterNode.AddNodeReferenceID(_LABELS_ROLE, pair.labels.GetID())
    parameterNode.SetParameter(_BASES, ",".join(pair.base for pair in pairs))
    parameterNode.EndModify(was)


def add(parameterNode, volume, labels) -> None:
    """Add a pair; the second one is for testing, for a training needs both kinds.

    Raises:
        ValueError: the volume is in the list already.
    """
    pairs = read(parameterNode)
    if any(pair.volume is volume for pair in pairs):
        raise ValueError(_("{name} is in the list already.").format(name=volume.GetName()))
    write(parameterNode, [*pairs, Pair(volume, labels, TEST if len(pairs) == 1 else TRAIN)])
