"""Which scan a result belongs to, and which results and mask a scan has.

Both directions are node references, so they are saved with the scene and follow renamed nodes: a result points to its
scan (`INPUT_ROLE`), and a scan to what was chosen for it (one role for each of `CHOICES`).
"""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

INPUT_ROLE = "SegSRGAN.input"
RECORD_ATTRIBUTE = "SegSRGAN.Record"
SOURCE_ATTRIBUTE = "SegSRGAN.Source"  # of a scan: the file or DICOM folder that a batch read it from
_RESULT_ATTRIBUTE = "SegSRGAN.Result"
# Parameters of the panel that belong to one scan.
CHOICES = ("outputVolume", "outputSegmentation", "outputProbability", "brainMask", "secondStack", "thirdStack")
_BRAIN_ATTRIBUTE = "SegSRGAN.isBrain"  # of a scan: it shows nothing but a brain, as somebody said of it
_OUTPUTS = CHOICES[:3]


def setOwner(node, inputNode) -> None:
    """Note that `node` was made from the scan `inputNode`; None when that was deleted meanwhile."""
    node.SetAttribute(_RESULT_ATTRIBUTE, "1")
    if inputNode:
        node.SetNodeReferenceID(INPUT_ROLE, inputNode.GetID())


def ownerOf(node):
    """The scan that a result was made from; None for other nodes, and when the scan was deleted."""
    return node.GetNodeReference(INPUT_ROLE) if node else None


def isResult(node) -> bool:
    """Whether a run made this node."""
    return node is not None and any(map(node.GetAttribute, (_RESULT_ATTRIBUTE, RECORD_ATTRIBUTE)))


def problemOf(node, inputNode) -> str:
    """Why `node` must not receive a result of `inputNode`, in one sentence; "" when it may."""
    owner = ownerOf(node)
    if owner is inputNode or not isResult(node):
        return ""
    name = node.GetName()
    if owner is None:
        text = _("{name} is the result of a volume that is not in the scene any more; create a new node instead.")
        return text.format(name=name)
    text = _("{name} is a result of {owner}, not of {input}; create a new node instead.")
    return text.format(name=name, owner=owner.GetName(), input=inputNode.GetName())


class Follower:
    """Keeps the parameters of `CHOICES` with their scan: another input brings its own results and mask, or none."""

    def __init__(self) -> None:
        self._input = None

    def adopt(self, parameters) -> None:
        """Start to follow a parameter node, for instance of a scene that was loaded."""
        self._input = parameters.inputVolume if parameters else None
        if self._input is None:
            return
        if any(problemOf(getattr(parameters, name), self._input) for name in _OUTPUTS):
            _restore(self._input, parameters)
        else:
            _remember(self._input, parameters)

    def update(self, parameters) -> None:
        """Call when a parameter has changed."""
        inputNode = parameters.inputVolume
        if inputNode is self._input:
            _remember(inputNode, parameters)
        else:
            self._input = inputNode
            _restore(inputNode, parameters)


def choose(inputNode, name: str, node) -> None:
    """Set one of `CHOICES` of a scan that may not be the selected one."""
    inputNode.SetNodeReferenceID(_role(name), node.GetID() if node else None)


def chosen(inputNode, name: str):
    """The node of one of `CHOICES` of a scan, or None."""
    return inputNode.GetNodeReference(_role(name))


def _remember(inputNode, parameters) -> None:
    for name in CHOICES if inputNode else ():
        node = getattr(parameters, name)
        if node is not chosen(inputNode, name) and not (name in _OUTPUTS and problemOf(node, inputNode)):
            choose(inputNode, name, node)
    if inputNode and parameters.isBrain != isBrain(inputNode):
        setBrain(inputNode, parameters.isBrain)


def isBrain(inputNode) -> bool:
    """Whether somebody said of a scan that it shows nothing but a brain."""
    return bool(inputNode and inputNode.GetAttribute(_BRAIN_ATTRIBUTE))


def setBrain(inputNode, value: bool) -> None:
    inputNode.SetAttribute(_BRAIN_ATTRIBUTE, "1" if value else None)


def _restore(inputNode, parameters) -> None:
    was = parameters.StartModify()
    for name in CHOICES:
        setattr(parameters, name, chosen(inputNode, name) if inputNode else None)
    parameters.isBrain = isBrain(inputNode)
    parameters.EndModify(was)


def _role(name: str) -> str:
    return f"SegSRGAN.{name}"


def isOfferable(node) -> bool:
    """Whether a volume node can be offered as the input: a scan in the scene, and no result of a run."""
    return bool(node and node.GetClassName() == "vtkMRMLScalarVolumeNode" and not isResult(node))


def scans() -> list:
    """The volumes that can be offered as the input, in the order of the scene."""
    return [node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if isOfferable(node)]
