"""The Enhance tab: pick a volume, press Apply, get nodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from .. import Preflight
from ..Jobs.ChildProcess import ChildProcess, Outcome
from ..Jobs.EnhanceJob import EnhanceJob, checkOutputs, describeEdits
from ..Models import ModelChoice
from ..Packages import FOR_IMPORT
from ..Scene import BrainMask, Inputs, Ownership, SegmentEdits
from ..Scene.ResultNodes import Nodes, isInScene
from ..Services import Enhances, Services
from ..Settings import EnhanceSettings
from .AllFrames import AllFrames
from .ParameterLink import Link
from .RunControl import RunControl
from .RunDisplay import RunDisplay

_MASK_TYPES = ("vtkMRMLSegmentationNode", "vtkMRMLLabelMapVolumeNode")


def _noExtractor() -> str:
    return _(
        "No brain extractor is installed: choose or draw a mask if the volume shows a head, or tick that it is a brain "
        "already."
    )


class EnhanceTab:
    """onResults: called after results were loaded. onModels: called after the list of models was read again."""

    def __init__(
        self, ui, logic: Enhances, services: Services, onResults: Callable[[], None], onModels: Callable[[], None]
    ) -> None:
        self.ui, self.logic, self._services = ui, logic, services
        self._onResults, self._onModels = onResults, onModels
        self._source = None  # the scan of the run
        self._parameters: Any = None
        self._choices: list[ModelChoice] = []
        self._defaultKey = ""
        self._canFindBrain = False
        display = RunDisplay(ui.progressBar, ui.statusLabel, ui.detailsButton, ui.detailsText)
        self.control = RunControl(display, services.packages)
        self._frames = AllFrames(ui, self._choose, self._apply)
        ui.maskSelector.nodeTypes = _MASK_TYPES
        self._links = self._makeLinks()
        ui.editMaskButton.connect("clicked(bool)", self._onEditMask)
        ui.importModelButton.connect("clicked(bool)", self._onImport)
        ui.downloadModelButton.connect("clicked(bool)", self._onDownload)
        ui.applyButton.connect("clicked(bool)", lambda: self._apply())
        ui.cancelButton.connect("clicked(bool)", lambda: self.control.stop())
        self.refreshModels()

    def _makeLinks(self) -> list[Link]:
        mask, model = self.ui.maskSelector, self.ui.modelSelector
        nodeChanged = "currentNodeChanged(vtkMRMLNode*)"
        return [
            Link("brainMask", mask, nodeChanged, read=mask.currentNode, write=mask.setCurrentNode),
            Link("model", model, "currentIndexChanged(int)", read=self._selectedModel, write=self._selectModel),
        ]

    def setParameters(self, parameters) -> None:
        self._parameters = parameters
        for link in self._links:
            link.setParameters(parameters)
        if parameters is None and not self.control.isRunning:
            self.control.display.idle()  # what it said was about a scene that is gone
        self.update()

    def update(self) -> None:
        """Everything that depends on parameters, on the scene, or on whether a run goes on."""
        for link in self._links:
            link.update()
        running = self.control.isRunning
        problem = self._showPreflight()
        self.ui.applyButton.enabled = not problem and not running
        self.ui.applyButton.toolTip = problem or _("Enhance the volume and segment its cortex")
        self.ui.cancelButton.enabled = running
        self._frames.show(self._parameters.inputVolume if self._parameters else None, running)
        self.ui.editMaskButton.enabled = bool(self._parameters and self._parameters.inputVolume)
        choice = self._choice()
        self.ui.modelSelector.toolTip = "\n\n".join([choice.title, choice.details]) if choice else ""
        self.ui.modelInfoLabel.text = choice.text() if choice else ""
        self.ui.downloadModelButton.visible = bool(choice and not choice.isInstalled)
        self.ui.downloadModelButton.enabled = not running

    def close(self) -> None:
        """End the run."""
        self.control.close()

    def refreshModels(self, select: str | None = None) -> None:
        """Read the list of models again; `select` is the key of the one to choose."""
        selected = select if select is not None else self._parameters.model if self._parameters else ""
        models = self._services.models
        self._choices, self._defaultKey = models.choices(), models.defaultKey()
        self._canFindBrain = models.canFindBrain()
        self.ui.maskSelector.noneDisplay = _("Find the brain") if self._canFindBrain else _("None: the whole volume")
        self.ui.modelSelector.blockSignals(True)
        self.ui.modelSelector.clear()
        self.ui.modelSelector.addItems([choice.title for choice in self._choices])
        self._selectModel(selected)
        self.ui.modelSelector.blockSignals(False)
        if select is not None and self._parameters:
            self._parameters.model = select
        self.update()
        self._onModels()

    def importModel(self, path: Path, name: str | None = None) -> None:
        """Add a model file to the list and choose it: `segsrgan models import`, which refuses what is no model.

        Weight files of the original project are converted, which takes another package.
        """
        if name and self._services.models.isAdded(name, path):
            self.refreshModels(select=name)
            return
        arguments = ["models", "import", str(path), *(["--name", name] if name else [])]
        packages = None if path.suffix == ".safetensors" else FOR_IMPORT
        self._launch(lambda: self._command(arguments, stopsOnRequest=False), packages)

    def _choice(self) -> ModelChoice | None:
        index = self.ui.modelSelector.currentIndex
        return self._choices[index] if 0 <= index < len(self._choices) else None

    def _selectedModel(self) -> str:
        """The key of the selected model; "" for the default, which may become another one some day."""
        choice = self._choice()
        return "" if choice is None or choice.key == self._defaultKey else choice.key

    def _selectModel(self, key: str) -> None:
        """Choose by key, the first for ""; nothing for a model that is gone, so that any other can be picked."""
        keys = [choice.key for choice in self._choices]
        self.ui.modelSelector.currentIndex = keys.index(key) if key in keys else -1 if key or not keys else 0

    def _showPreflight(self) -> str:
        """Fill the lines above Apply; returns what keeps Apply from working, or ""."""
        volume = self._parameters.inputVolume if self._parameters else None
        line, warnings, problem = "", [], _("Select a volume to enhance.")
        if volume:
            problem = self._problem(volume)
            try:
                settings = self._settings()
                preflight = Preflight.describe(
                    volume, settings, self._choice(), self._parameters.brainMask, self._moreStacks()
                )
                line, warnings = preflight.line, preflight.warnings
            except ValueError as error:
                problem = str(error)  # what is wrong with the volume comes first
        if volume and not (self._canFindBrain or self._parameters.brainMask or self._parameters.isBrain):
            warnings = [*warnings, _noExtractor()]
        if not self._services.packages.isTorchInstalled():
            warnings = [*warnings, _("PyTorch is not installed yet; Apply offers to install it.")]
        self.ui.preflightLabel.text = line
        self.ui.warningLabel.text = "\n".join(f"\u26a0 {text}" for text in [problem, *warnings] if text)
        self.ui.warningLabel.visible = bool(problem or warnings)
        return problem

    def _problem(self, volume) -> str:
        try:
            checkOutputs(volume, self._outputs(), self._parameters.brainMask)
            Inputs.checkStacks(volume, self._moreStacks())
        except ValueError as error:
            return str(error)
        if self._parameters.outputVolume and self._parameters.outputVolume is self._parameters.outputProbability:
            return _("The enhanced volume and the probability map must be different nodes.")
        if self._parameters.model and self._parameters.model not in [choice.key for choice in self._choices]:
            return _("The model {name} is not there any more; choose another.").format(name=self._parameters.model)
        choice = self._choice()
        if choice is None:
            return _("No model is installed; press Import to add one.")
        if choice.problem:
            return _("The model {name} cannot be used; choose another.").format(name=choice.key)
        if not choice.isInstalled:
            return _("This model is not on this computer yet; press Download to fetch it.")
        return ""

    def _onEditMask(self) -> None:
        """Open the mask of the scan in the Segment Editor; without one, an empty one."""
        parameters = self._parameters
        mask = parameters.brainMask
        if mask is None:
            mask = parameters.brainMask = BrainMask.empty(parameters.inputVolume)
        elif not mask.IsA("vtkMRMLSegmentationNode"):
            self.control.display.failed(
                ValueError(_("A label map is edited as a segmentation: convert it in Segmentations."))
            )
            return
        BrainMask.openInEditor(mask, parameters.inputVolume)

    def _onImport(self) -> None:
        window = slicer.util.mainWindow()
        title, pattern = _("Import a model"), _("SegSRGAN models (*.safetensors);;Weights of the original project (*)")
        path = qt.QFileDialog.getOpenFileName(window, title, "", pattern)
        if path:
            self.importModel(Path(path))

    def _onDownload(self) -> None:
        choice = self._choice()
        if choice is None:
            return
        arguments = ["models", "download", choice.key]
        self._launch(lambda: self._command(arguments), FOR_IMPORT)

    def _command(self, arguments: list[str], stopsOnRequest: bool = True) -> ChildProcess:
        """Start a command that ends with a model; the model is then chosen."""
        names = []

        def onProgress(message: dict) -> None:
            names.extend([message["name"]] if "name" in message else [])
            self.control.display.progress(message)

        def onCompleted(outcome: Outcome) -> None:
            if self.control.ended(outcome, _("The model is ready.")):
                self.refreshModels(select=names[-1] if names else None)

        return ChildProcess(arguments, onCompleted, onProgress, stopsOnRequest).start()

    def _launch(self, start: Callable, packages: dict[str, str] | None = None, expected: float | None = None) -> None:
        """Start a run of `expected` seconds; whatever keeps it from starting is said in the panel."""
        self.control.launch(start, packages, expected)
        if self._choices and not self._choices[0].key:
            self.refreshModels()  # with the packages, they can be read from now on
        self.update()

    def _choose(self, volume) -> None:
        self._parameters.inputVolume = volume

    def _apply(self) -> bool:
        """Enhance the selected volume; returns whether a run has begun."""
        parameters, outputs = self._parameters, self._outputs()
        if self.control.isRunning or not self.ui.applyButton.enabled:
            return False
        if not self._services.terms.ensure(self._choice()):
            return False
        if edited := SegmentEdits.editedSegments(outputs.segmentation):
            answer = self._askAboutEdits(outputs, edited)
            if answer is None:
                return False
            outputs = answer
        self._source = volume = parameters.inputVolume
        job = EnhanceJob(
            outputs, outputs.probability is not None, True, self._onCompleted, self.control.display.progress
        )
        # noted now: another scan may be chosen while the packages are looked for
        settings, stacks, mask = self._settings(), self._moreStacks(), parameters.brainMask
        expected = Preflight.seconds(Preflight.workOf(volume, settings, mask), 1 + len(stacks))
        self._launch(lambda: job.start(volume, settings, mask, stacks), expected=expected)
        return self.control.isRunning

    def _onCompleted(self, outcome: Outcome, nodes: Nodes | None) -> None:
        if not self.control.ended(outcome, _("Done. The Quality control tab compares result and input.")):
            return
        if nodes:
            self._keep(nodes)
        self.update() if outcome.succeeded else self.refreshModels()  # a model that is gone ends a run
        self._frames.ended(outcome.succeeded)

    def _keep(self, nodes: Nodes) -> None:
        """The results belong to the scan of the run, which need not be the selected one any more."""
        made = {"outputVolume": nodes.volume, "outputSegmentation": nodes.segmentation}
        if nodes.probability:
            made["outputProbability"] = nodes.probability
        parameters = self.logic.getParameterNode()
        source = self._source if isInScene(self._source) else None
        if source:
            made["brainMask"] = Ownership.chosen(source, "brainMask")  # a run may have found one
        for name, node in made.items():
            if source:
                Ownership.choose(source, name, node)
            if parameters.inputVolume is source:
                setattr(parameters, name, node)
        if parameters.inputVolume is source:
            self._onResults()

    def _settings(self) -> EnhanceSettings:
        return self.logic.resolved(EnhanceSettings.fromParameters(self._parameters))

    def _moreStacks(self) -> list:
        """The scans of the same child that are fused with the volume."""
        return [node for node in (self._parameters.secondStack, self._parameters.thirdStack) if node]

    def _outputs(self) -> Nodes:
        parameters = self._parameters
        return Nodes(parameters.outputVolume, parameters.outputSegmentation, parameters.outputProbability)

    def _askAboutEdits(self, outputs: Nodes, edited: list[str]) -> Nodes | None:
        """Replace hand work only when told so; returns the nodes to fill, or None for no run."""
        keep, replace = _("Keep it, make a new one"), _("Replace it")
        answer = self._services.questions.choose(describeEdits(outputs.segmentation, edited), [keep, replace])
        return {keep: outputs._replace(segmentation=None), replace: outputs}.get(answer)
