"""The Training tab: fine-tune a model on volumes of the scene or of a table, and watch it learn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ctk
import qt
from slicer.i18n import tr as _

from ..Jobs import TrainingClasses, TrainingJob, TrainingPairs, TrainingPlan
from ..Jobs.ChildProcess import ChildProcess, Outcome
from ..Jobs.TrainingPairs import TEST, TRAIN
from ..Models import ModelChoice
from ..Packages import FOR_TRAINING
from ..ParameterNode import RANDOM
from ..Scene import TrainingPlots
from ..Services import Services
from .ParameterLink import Link, pathLink
from .RunControl import RunControl
from .RunDisplay import RunDisplay
from .Tables import fillTable, setUpTable

_LEAST_ROWS = 3
_LEAST_PICTURE, _PICTURE_MARGIN = 320, 40  # pixels
_LABEL_TYPES = ("vtkMRMLSegmentationNode", "vtkMRMLLabelMapVolumeNode")


class TrainingTab:
    """onNewModel: called with the file of a model that was trained and chosen for use, and a name for it."""

    def __init__(self, ui, services: Services, onNewModel: Callable[[Path, str], None]) -> None:
        self.ui, self._services, self._onNewModel = ui, services, onNewModel
        self._parameters: Any = None
        self._folder: Any = None  # of the training that runs or ran last
        self._message = ""
        display = RunDisplay(
            ui.trainingProgressBar, ui.trainingStatusLabel, ui.trainingDetailsButton, ui.trainingDetailsText
        )
        self.control = RunControl(display, services.packages)
        ui.trainingLabelsSelector.nodeTypes = _LABEL_TYPES
        ui.trainingFolderEdit.filters = ctk.ctkPathLineEdit.Dirs  # else its button opens a dialog for files
        ui.csvPathEdit.filters = ctk.ctkPathLineEdit.Files
        setUpTable(ui.pairsTable, (_("Volume"), _("Segmentation"), _("Use")), wide=2)
        self._links = [
            pathLink("trainingCsv", ui.csvPathEdit),
            pathLink("trainingFolder", ui.trainingFolderEdit),
            Link(
                "baseModel",
                ui.baseModelSelector,
                "currentIndexChanged(int)",
                read=self._selectedBase,
                write=self._selectBase,
            ),
        ]
        self.refreshModels()
        self._connect()

    def _connect(self) -> None:
        ui = self.ui
        for button, slot in (
            (ui.addPairButton, self._onAddPair),
            (ui.removePairButton, self._onRemovePair),
            (ui.toggleBaseButton, self._onToggleBase),
            (ui.startTrainingButton, self._onStart),
            (ui.stopTrainingButton, lambda: self.control.stop()),
            (ui.resumeTrainingButton, self._onResume),
            (ui.showCurvesButton, self._onShowCurves),
            (ui.useModelButton, self._onUseModel),
        ):
            button.connect("clicked(bool)", slot)
        for selector in (ui.trainingVolumeSelector, ui.trainingLabelsSelector):
            selector.connect("currentNodeChanged(vtkMRMLNode*)", self.update)

    def setParameters(self, parameters) -> None:
        self._parameters = parameters
        self._message = ""
        for link in self._links:
            link.setParameters(parameters)
        self.update()

    def update(self, *_arguments) -> None:
        parameters, ui, running = self._parameters, self.ui, self.control.isRunning
        for link in self._links:
            link.update()
        pairs = self._pairs()
        self._showPairs(pairs)
        problem = self._problem(pairs)
        ui.startTrainingButton.enabled = not running and not problem
        ui.startTrainingButton.toolTip = problem or _("Train a model")
        ui.trainingPlanLabel.text = TrainingPlan.describe(parameters, pairs) if parameters else ""
        ui.stopTrainingButton.enabled = running
        ui.resumeTrainingButton.enabled = bool(not running and parameters and TrainingJob.canResume(parameters))
        ui.addPairButton.enabled = bool(
            ui.trainingVolumeSelector.currentNode() and ui.trainingLabelsSelector.currentNode()
        )
        ui.removePairButton.enabled = ui.toggleBaseButton.enabled = bool(pairs)
        if not running:
            ui.trainingStatusLabel.text = " ".join(text for text in (self._message, problem) if text)

    def close(self) -> None:
        """End the run."""
        self.control.close()

    def refreshModels(self) -> None:
        """Read the list of models again."""
        usable = (choice for choice in self._services.models.choices() if choice.key)
        self._models = [choice for choice in usable if choice.isInstalled and not choice.problem]
        self._listedDefault = self._services.models.defaultKey()
        self.ui.baseModelSelector.blockSignals(True)
        self.ui.baseModelSelector.clear()
        self.ui.baseModelSelector.addItems([*(choice.title for choice in self._models), _("Random weights")])
        self._selectBase(self._parameters.baseModel if self._parameters else "")
        self.ui.baseModelSelector.blockSignals(False)
        self.update()

    def _defaultKey(self) -> str:
        """What an empty `baseModel` stands for, with the pairs that there are."""
        hasTable = bool(self._parameters and self._parameters.trainingCsv)
        return TrainingClasses.defaultBase(self._models, self._listedDefault, self._pairs(), hasTable)

    def _selectedBase(self) -> str:
        key = self._baseKeys()[max(0, self.ui.baseModelSelector.currentIndex)]
        return "" if key == self._defaultKey() else key

    def _selectBase(self, key: str) -> None:
        """Choose by key, "" for the default model; nothing for one that is gone, so that any other can be picked."""
        keys, key = self._baseKeys(), key or self._defaultKey()
        self.ui.baseModelSelector.currentIndex = keys.index(key) if key in keys else -1

    def _baseKeys(self) -> list[str]:
        return [*(choice.key for choice in self._models), RANDOM]

    def _base(self) -> str:
        """The model that training starts from, the default one by its name; RANDOM for none."""
        return self._parameters.baseModel or self._defaultKey()

    def _baseChoice(self) -> ModelChoice | None:
        return next((choice for choice in self._models if choice.key == self._base()), None)

    def _pairs(self) -> list[TrainingPairs.Pair]:
        return TrainingPairs.read(self._parameters.parameterNode) if self._parameters else []

    def _problem(self, pairs) -> str:
        if not self._parameters:
            return _("No scene.")
        try:
            TrainingJob.check(self._parameters, pairs)
        except ValueError as error:
            return str(error)
        if self._base() not in self._baseKeys():
            text = _("The model {name} is not there any more; choose another one to start from.")
            return text.format(name=self._parameters.baseModel)
        return TrainingClasses.problem(self._baseChoice(), pairs, bool(self._parameters.trainingCsv))

    def _showPairs(self, pairs) -> None:
        uses = {TRAIN: _("Train"), TEST: _("Test")}
        rows = [(pair.volume.GetName(), pair.labels.GetName(), uses[pair.base]) for pair in pairs]
        fillTable(self.ui.pairsTable, rows, leastRows=_LEAST_ROWS)

    def _onAddPair(self) -> None:
        ui = self.ui
        self._message = ""
        try:
            TrainingPairs.add(
                self._parameters.parameterNode,
                ui.trainingVolumeSelector.currentNode(),
                ui.trainingLabelsSelector.currentNode(),
            )
        except ValueError as error:
            self._message = str(error)
        self.update()

    def _onRemovePair(self) -> None:
        pairs, row = self._pairs(), self._row()
        TrainingPairs.write(self._parameters.parameterNode, pairs[:row] + pairs[row + 1 :])

    def _onToggleBase(self) -> None:
        pairs, row = self._pairs(), self._row()
        pairs[row] = pairs[row]._replace(base=TEST if pairs[row].base == TRAIN else TRAIN)
        TrainingPairs.write(self._parameters.parameterNode, pairs)

    def _row(self) -> int:
        """The selected row, else the last."""
        row = self.ui.pairsTable.currentRow()
        return row if row >= 0 else len(self._pairs()) - 1

    def _onStart(self) -> None:
        self._launch(resume=False)

    def _onResume(self) -> None:
        self._launch(resume=True)

    def _launch(self, resume: bool) -> None:
        if not self._services.terms.ensure(self._baseChoice()):
            return
        self._message = self.control.launch(lambda: self._begin(resume), FOR_TRAINING)
        self.update()

    def _begin(self, resume: bool) -> ChildProcess:
        self._folder = TrainingJob.outputFolder(self._parameters)
        choice = self._baseChoice()
        classes = choice.classes if choice else ()
        configuration = TrainingJob.prepare(self._parameters, self._pairs(), self._base(), resume, classes)
        self._patches = TrainingPlan.patchesAnEpoch(self._parameters, self._pairs())
        self._runDevice = self._parameters.trainingDevice
        return ChildProcess(["train", str(configuration)], self._onCompleted, self._onProgress).start()

    def _onProgress(self, message: dict) -> None:
        self.control.display.progress(message)
        if "epoch" in message:
            self._showCurves()

    def _onCompleted(self, outcome: Outcome) -> None:
        if not self.control.ended(outcome, _("Trained. Use this model selects it in the Enhance tab.")):
            return
        if outcome.cancelled:
            self.ui.trainingStatusLabel.text = _("Stopped. Resume goes on from the last checkpoint.")
        self._message = self.ui.trainingStatusLabel.text
        self._showCurves()
        TrainingPlan.remember(TrainingJob.readLog(self._folder), self._patches, self._runDevice)
        self.update()

    def _showCurves(self) -> None:
        """Charts if they were asked for, the line before/after, and the buttons of the result."""
        rows = TrainingJob.readLog(self._folder)
        if rows and TrainingPlots.areShown():
            TrainingPlots.update(rows)
        self.ui.beforeAfterLabel.text = TrainingJob.beforeAfter(rows)
        self.ui.showCurvesButton.enabled = bool(rows)
        self.ui.useModelButton.enabled = (self._folder / "model.safetensors").is_file()
        self._showExamples(self._folder / "examples.png")

    def _showExamples(self, path: Path) -> None:
        """The picture that the last validation left: scan, interpolation and network side by side."""
        picture = qt.QPixmap(str(path)) if path.is_file() else qt.QPixmap()
        self.ui.examplesLabel.visible = not picture.isNull()
        if not picture.isNull():
            width = min(picture.width(), max(_LEAST_PICTURE, self.ui.curvesButton.width - _PICTURE_MARGIN))
            self.ui.examplesLabel.setPixmap(picture.scaledToWidth(width, qt.Qt.SmoothTransformation))

    def _onShowCurves(self) -> None:
        TrainingPlots.update(TrainingJob.readLog(self._folder))
        TrainingPlots.show()

    def _onUseModel(self) -> None:
        """Put the trained model into the user's models, under the name of its folder, and choose it.

        A model of that name stays: after Resume the new one is NAME-2.
        """
        path = self._folder / "model.safetensors"
        self._onNewModel(path, self._services.models.freeName(self._folder.name, path))
