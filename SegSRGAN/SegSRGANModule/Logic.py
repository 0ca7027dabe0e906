"""What the module can do, for the panel and for the Python console alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from . import Models, Packages
from .Jobs.ChildProcess import ChildProcess, Outcome
from .Jobs.EnhanceJob import EnhanceJob
from .ParameterNode import SegSRGANParameterNode
from .Scene.ResultNodes import Nodes
from .Settings import EnhanceSettings

_VOLUME_ENDINGS = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")


def _ignore(message: dict) -> None:
    """The default of `progress`."""


class SegSRGANLogic(ScriptedLoadableModuleLogic):
    """Enhance volumes of the scene and folders of files.

    The computation runs in a child process, see `ChildProcess`. Where a method takes `completed`, it returns at once
    with it, and waits without it, while Slicer's window stays alive.
    """

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)

    def getParameterNode(self):
        return SegSRGANParameterNode(super().getParameterNode())

    def enhance(
        self,
        volumeNode,
        settings: EnhanceSettings = EnhanceSettings(),
        *,
        mask=None,
        outputs: Nodes | None = None,
        completed: Callable[[Outcome, Nodes | None], None] | None = None,
        progress: Callable[[dict], None] = _ignore,
        replaceEdits: bool = False,
    ) -> Nodes | ChildProcess:
        """Super-resolve a volume node and segment its cortex.

        Args:
            volumeNode: T2-weighted volume.
            settings: see `EnhanceSettings`.
            mask: segmentation or label map node of the brain; None or "auto" finds the brain, "none" says that the
                volume is a brain already.
            outputs: nodes to fill, None in it makes a new one, and without `probability` no map is kept;
                by default three new nodes.
            completed: called with the outcome and the nodes.
            progress: called with {"fraction": 0 to 1, "message": text, "remaining": seconds}.
            replaceEdits: whether segments of the output that were edited by hand may be replaced.

        Returns:
            `Nodes` (volume, segmentation, probability), or with `completed` the running `ChildProcess`.

        Raises:
            ValueError: a volume, mask or output that cannot be used: an output that belongs to another volume, or
                that was edited by hand.
            RuntimeError: the run failed or was cancelled, or PyTorch is missing.
        """
        Packages.ensure()
        wanted = outputs or Nodes()
        keepProbability = outputs is None or outputs.probability is not None
        job = EnhanceJob(wanted, keepProbability, replaceEdits, completed or (lambda outcome, nodes: None), progress)
        run = job.start(volumeNode, self.resolved(settings), mask)
        if completed:
            return run
        run.wait()
        return job.result()

    def enhanceFolder(
        self,
        inputFolder: str | Path,
        outputFolder: str | Path,
        settings: EnhanceSettings = EnhanceSettings(),
        *,
        progress: Callable[[dict], None] = _ignore,
    ) -> list[Path]:
        """Enhance every volume file of a folder, one after the other, without loading any into the scene.

        Files whose result is there already are left out, so a run that was interrupted goes on.

        Returns:
            The enhanced volumes.

        Raises:
            ValueError: no volume in the folder, two whose results would have one name, or results among the volumes.
            RuntimeError: a run failed; the results before it are kept.
        """
        if Path(inputFolder).resolve() == Path(outputFolder).resolve():
            text = _("Results in the folder of the volumes, {folder}, would be taken for volumes: choose another one.")
            raise ValueError(text.format(folder=inputFolder))
        inputs = [path for path in sorted(Path(inputFolder).iterdir()) if path.name.lower().endswith(_VOLUME_ENDINGS)]
        if not inputs:
            raise ValueError(_("There is no volume file in {folder}.").format(folder=inputFolder))
        targets = {path: Path(outputFolder) / f"{_withoutEnding(path)}_sr.nii.gz" for path in inputs}
        for path in inputs:
            if twins := [other.name for other in inputs if other != path and targets[other] == targets[path]]:
                text = _("{names} would have the same results; rename one of them.")
                raise ValueError(text.format(names=", ".join([path.name, *twins])))
        Packages.ensure()
        for path, result in targets.items():
            if not result.is_file():
                self._enhanceFile(path, outputFolder, self.resolved(settings), progress)
        return list(targets.values())

    @staticmethod
    def resolved(settings: EnhanceSettings) -> EnhanceSettings:
        """The settings with the default model by its name, so that the record says which one it was."""
        return settings if settings.model else replace(settings, model=Models.defaultKey())

    @staticmethod
    def _enhanceFile(path: Path, outputFolder, settings: EnhanceSettings, progress) -> None:
        outcomes: list[Outcome] = []
        arguments = ["predict", str(path), "-o", str(outputFolder), *settings.arguments()]
        ChildProcess(arguments, outcomes.append, progress).start().wait()
        if not outcomes[0].succeeded:
            raise RuntimeError(f"{path.name}: {outcomes[0].error}")


def _withoutEnding(path: Path) -> str:
    ending = next(
        ending for ending in sorted(_VOLUME_ENDINGS, key=len, reverse=True) if path.name.lower().endswith(ending)
    )
    return path.name[: -len(ending)]
