"""What the module can do, for the panel and for the Python console alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from .Jobs import BatchJob
from .Jobs.ChildProcess import ChildProcess, Outcome
from .Jobs.EnhanceJob import EnhanceJob
from .Models import Models
from .Packages import Packages
from .ParameterNode import SegSRGANParameterNode
from .Scene import SegmentEdits
from .Scene.ResultNodes import Nodes, ResultFiles
from .Services import InstallsPackages, ListsModels
from .Settings import EnhanceSettings


def _ignore(message: dict) -> None:
    """The default of `progress`."""


class SegSRGANLogic(ScriptedLoadableModuleLogic):
    """Enhance volumes of the scene and folders of files.

    The computation runs in a child process, see `ChildProcess`. Where a method takes `completed`, it returns at once
    with it, and waits without it, while Slicer's window stays alive.
    """

    def __init__(self, models: ListsModels | None = None, packages: InstallsPackages | None = None) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self._models, self._packages = models or Models(), packages or Packages()

    def getParameterNode(self):
        return SegSRGANParameterNode(super().getParameterNode())

    def enhance(
        self,
        volumeNode,
        settings: EnhanceSettings = EnhanceSettings(),
        *,
        mask=None,
        moreStacks=(),
        outputs: Nodes | None = None,
        completed: Callable[[Outcome, Nodes | None], None] | None = None,
        progress: Callable[[dict], None] = _ignore,
    ) -> Nodes | ChildProcess:
        """Super-resolve a volume node and segment its cortex.

        Args:
            volumeNode: T2-weighted volume.
            settings: see `EnhanceSettings`.
            mask: segmentation or label map node of the brain; None or "auto" finds the brain, "none" says that the
                volume is a brain already.
            moreStacks: volume nodes of the same child, for instance the coronal and the sagittal scan. They are
                registered to the first volume and fused with it; the result is on its axes.
            outputs: nodes to fill, None in it makes a new one, and without `probability` no map is kept;
                by default three new nodes.
            completed: called with the outcome and the nodes.
            progress: called with {"fraction": 0 to 1, "message": text, "remaining": seconds}.

        Returns:
            `Nodes` (volume, segmentation, probability), or with `completed` the running `ChildProcess`.

        Raises:
            ValueError: a volume, mask or output that cannot be used: an output that belongs to another volume, or
                that was edited by hand (see `releaseEdits`).
            RuntimeError: the run failed or was cancelled, or PyTorch is missing.
        """
        self._packages.ensure()
        wanted = outputs or Nodes()
        keepProbability = outputs is None or outputs.probability is not None
        job = EnhanceJob(wanted, keepProbability, False, completed or (lambda outcome, nodes: None), progress)
        run = job.start(volumeNode, self.resolved(settings), mask, moreStacks)
        if completed:
            return run
        run.wait()
        return job.result()

    @staticmethod
    def releaseEdits(segmentationNode) -> None:
        """Allow the next run to replace what was drawn by hand in an output segmentation."""
        SegmentEdits.markUnedited(segmentationNode, list(segmentationNode.GetSegmentation().GetSegmentIDs()))

    def enhanceFolder(
        self,
        inputFolder: str | Path,
        outputFolder: str | Path,
        settings: EnhanceSettings = EnhanceSettings(),
        *,
        progress: Callable[[dict], None] = _ignore,
    ) -> list[Path]:
        """Enhance every volume of a folder, without loading any into the scene.

        It is the batch engine of the shell (`segsrgan batch`): finished results are skipped, also those of an
        interrupted run, BIDS datasets and DICOM folders are understood, and summary.tsv says how each volume ended.

        Returns:
            The enhanced volumes.

        Raises:
            ValueError: no volume in the folder, two whose results would have one name, or results among the volumes.
            RuntimeError: volumes failed or the run was cancelled; finished results are kept.
        """
        settings = self.resolved(settings)
        BatchJob.check(str(inputFolder), str(outputFolder))
        self._packages.ensure()
        outcomes: list[Outcome] = []
        BatchJob.start(str(inputFolder), str(outputFolder), settings, outcomes.append, progress).wait()
        if not outcomes[0].succeeded:
            raise RuntimeError(outcomes[0].error or _("The computation was cancelled."))
        done = BatchJob.cases(str(inputFolder), str(outputFolder), settings)
        return [ResultFiles.ofRecord(case.record).path("sr.nii.gz") for case in done]

    def resolved(self, settings: EnhanceSettings) -> EnhanceSettings:
        """The settings with the default model by its name, so that the record says which one it was."""
        return settings if settings.model else replace(settings, model=self._models.defaultKey())
