"""One volume on its way: written for the child process, computed there, read back into the scene."""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from .. import Preflight
from ..Scene import Inputs, Ownership, ResultNodes, SegmentEdits
from ..Scene.InputTraits import InputTraits
from ..Scene.ResultNodes import Nodes, ResultFiles
from ..Scene.VolumeNodes import writeMask, writeVolume
from ..Settings import EnhanceSettings
from .ChildProcess import ChildProcess, Outcome

_LONGEST_NAME = 120  # bytes; endings such as _cortex-probability.nii.gz come after it, and 255 are allowed
_GRACE = 1500  # ms between Cancel and the end of the child; its folder is thrown away as a whole


class EnhanceJob:
    """Enhance one volume node; `completed` gets the outcome and the nodes (None unless it succeeded).

    outputs: nodes to fill. wantProbability: whether the probability map becomes a node.
    replacesEdits: whether segments that a person has edited may be replaced.
    """

    def __init__(
        self,
        outputs: Nodes,
        wantProbability: bool,
        replacesEdits: bool = False,
        completed: Callable[[Outcome, Nodes | None], None] = lambda outcome, nodes: None,
        progress: Callable[[dict], None] = lambda message: None,
    ) -> None:
        self.outcome: Outcome | None = None
        self.nodes: Nodes | None = None
        self._outputs, self._wantProbability, self._replacesEdits = outputs, wantProbability, replacesEdits
        self._completed, self._progress = completed, progress

    def start(self, volumeNode, settings: EnhanceSettings, mask=None, moreStacks=()) -> ChildProcess:
        """Write the input and launch the child.

        Args:
            moreStacks: volume nodes of the same child, which are fused with the first one.

        Raises:
            ValueError: a volume, mask or output that cannot be used.
        """
        if volumeNode is None:
            raise ValueError(_("Select a volume."))
        node = None if isinstance(mask, str) else mask
        Inputs.check(volumeNode, node)
        Inputs.checkStacks(volumeNode, moreStacks)
        checkOutputs(volumeNode, self._outputs, node)
        self._work, self._started = Preflight.workOf(volumeNode, settings, node), time.monotonic()
        self._isTypical = not moreStacks
        edited = SegmentEdits.editedSegments(self._outputs.segmentation)
        if edited and not self._replacesEdits:
            raise ValueError(describeEdits(self._outputs.segmentation, edited))
        self._contentBefore = SegmentEdits.contentOf(self._outputs.segmentation)
        self._traits = InputTraits.of(volumeNode)
        folder = Path(tempfile.mkdtemp(prefix="SegSRGAN-", dir=slicer.app.temporaryPath))
        self._files = ResultFiles(folder, _fileName(self._traits.name))
        try:
            arguments = self._writeInputs([volumeNode, *moreStacks], mask or ("none" if settings.isBrain else "auto"))
            arguments += settings.arguments()
            child = ChildProcess(arguments, self._finish, self._progress, graceMilliseconds=_GRACE)
            self._process = child.start()
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        scene = slicer.mrmlScene
        self._tag = scene.AddObserver(scene.StartCloseEvent, lambda caller, event: self._process.cancel())
        return self._process

    def result(self) -> Nodes:
        """The nodes after success.

        Raises:
            RuntimeError: the run failed or was cancelled; the message is one sentence.
        """
        if self.outcome is None or self.nodes is None or not self.outcome.succeeded:
            error = self.outcome.error if self.outcome else ""
            raise RuntimeError(error or _("The computation was cancelled."))
        return self.nodes

    def _writeInputs(self, volumeNodes, mask) -> list[str]:
        folder, names = self._files.folder / "input", [self._files.name]
        folder.mkdir()
        names += [f"stack-{number}" for number in range(2, len(volumeNodes) + 1)]
        sources = [folder / f"{name}.nrrd" for name in names]
        for node, path in zip(volumeNodes, sources, strict=True):
            writeVolume(node, path)
        arguments = ["predict", *map(str, sources), "-o", str(self._files.folder), "--maps", "--report"]
        if isinstance(mask, str):
            arguments += ["--mask", mask]
        else:
            path = folder / "mask.nrrd"
            writeMask(mask, volumeNodes[0], path)
            arguments += ["--mask", str(path)]
        return arguments

    def _finish(self, outcome: Outcome) -> None:
        slicer.mrmlScene.RemoveObserver(self._tag)
        self.outcome = outcome
        if outcome.succeeded:
            try:
                self.nodes = ResultNodes.load(self._files, self._traits, self._safeOutputs(), self._wantProbability)
                self._learnSpeed()
            except (OSError, RuntimeError, ValueError, KeyError) as error:
                logging.exception("SegSRGAN results could not be loaded")
                problem = _("The results could not be loaded: {error}").format(error=error)
                self.outcome = replace(outcome, succeeded=False, error=problem)
        shutil.rmtree(self._files.folder, ignore_errors=True)  # what is worth keeping is in the scene
        self._completed(self.outcome, self.nodes)

    def _safeOutputs(self) -> Nodes:
        """The nodes to fill; a segmentation that was edited during the run stays, and a new one is made."""
        outputs = self._outputs
        if SegmentEdits.contentOf(outputs.segmentation) != self._contentBefore:
            outputs = outputs._replace(segmentation=None)
        return outputs

    def _learnSpeed(self) -> None:
        """Better estimates from now on; several stacks tell nothing about the speed of one volume."""
        if self._isTypical:
            Preflight.remember(self._work, self._files.record, time.monotonic() - self._started)


def checkOutputs(volumeNode, outputs: Nodes, mask=None) -> None:
    """Raise ValueError when an output node cannot receive a result of this volume: no scan and no mask is replaced."""
    if volumeNode in (outputs.volume, outputs.probability):
        raise ValueError(_("The output must be another node than the input."))
    if mask is not None and mask is outputs.segmentation:
        text = _("{name} is both the mask and the output; create a new node for the segmentation.")
        raise ValueError(text.format(name=mask.GetName()))
    for node in filter(None, outputs):
        if problem := Ownership.problemOf(node, volumeNode):
            raise ValueError(problem)
    volumes: tuple[Any, ...] = (outputs.volume, outputs.probability)
    for node in filter(None, volumes):
        if node.GetImageData() is not None and not Ownership.isResult(node):
            text = _("{name} is no result of a run and would be overwritten; create a new node instead.")
            raise ValueError(text.format(name=node.GetName()))


def _fileName(name: str) -> str:
    """Of the files of a run, from the name of a node, which may hold anything and be longer than file names may be."""
    plain = re.sub(r"[^\w-]+", "_", name)
    return plain.encode()[:_LONGEST_NAME].decode(errors="ignore") or "volume"


def describeEdits(segmentationNode, names: list[str]) -> str:
    """One sentence about what a run would replace."""
    text = _("{name} was edited by hand ({segments}), and a new run would replace that.")
    return text.format(name=segmentationNode.GetName(), segments=", ".join(names))
