"""The systems at work on one volume at one factor: each intermediate volume is made once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import SimpleITK as sitk

from ..data.grid import Grid
from ..inference.options import EnhanceOptions
from ..inference.pipeline import enhance
from ..inference.predictor import PredictionOptions
from ..metrics.evaluation import evaluate
from ..metrics.segmentation import compare_segmentations
from ..models.checkpoint import Model
from ..multi_atlas.atlas import Atlas
from ..multi_atlas.evidence import WarpedAtlas
from ..transforms.band_limit import band_limited
from ..transforms.data_consistency import enforce_data_consistency
from ..transforms.resample import onto, upsample
from ..utils.progress import ShouldStop
from .cost import Cost, Meter
from .plan import TRUE_RESOLUTION, Plan, Row, Task
from .registration_cache import WarpedCache
from .segmenters import others
from .store import Result
from .subjects import Volumes, simulate
from .systems import BAND_LIMITED, HR, Method


@dataclass(frozen=True)
class Restored:
    """What a method made, on the grid of the truth. labels: of the first class of a model that segments, 1 inside.

    cost: None for what is no system.
    """

    image: sitk.Image
    labels: sitk.Image | None
    cost: Cost | None


class Tools:
    """What a worker process loads once: models by the method's name, and the atlases."""

    def __init__(self, plan: Plan, load: Callable[..., Model]) -> None:
        """Nothing is loaded yet."""
        self.plan, self._load = plan, load
        self._models: dict[str, Model] = {}
        self._atlases: list[Atlas] | None = None

    def model(self, name: str) -> Model:
        """The model of a listed name or of a file."""
        if name not in self._models:
            self._models[name] = self._load(name, self.plan.options.device)
        return self._models[name]

    def atlases(self) -> list[Atlas]:
        """All atlases."""
        if self._atlases is None:
            self._atlases = self.plan.tools.read(self.plan.options.atlas_source)  # ty: ignore[invalid-argument-type]  # checked before
        return self._atlases


class Bench:
    """Runs the rows of one volume at one factor."""

    def __init__(self, tools: Tools, task: Task, volumes: Volumes, factor: float, stop: ShouldStop) -> None:
        """Simulate the slices; factor 1 is the volume itself."""
        self._tools, self._plan, self._factor = tools, tools.plan, factor
        self._task, self._whole, self._stop, self._fold = task, volumes.hr, stop, task.case.fold
        self._cache = WarpedCache(tools.plan.options.outdir, task.key)
        self.volumes = volumes
        if factor != TRUE_RESOLUTION:
            self._thick, self.volumes = simulate(volumes, factor, self._plan.options.axis, self._plan.options.in_plane)
        self._restored: dict[str, Restored | Exception] = {}
        self._warped: tuple[str, list[WarpedAtlas], Cost] = ("", [], Cost())

    def begin(self, row: Row) -> Result:
        """The result of a row before it is done."""
        return Result(self._task.key, row.factor, row.title, self._plan.key(row, self._task.digest))

    def run(self, row: Row, result: Result) -> tuple[Result, sitk.Image, sitk.Image | None]:
        """Do one row.

        Args:
            row: which. result: to fill in, see `begin`.

        Returns:
            The result, the volume to show, and the segmentation to show.

        Raises:
            Cancelled: on request. Anything that goes wrong in a system.
        """
        if not row.source:
            restored = self.restored(row.system)
            note = self.volumes.no_truth and f"its segmentation was not measured: {self.volumes.no_truth}"
            result = replace(result, figures=self._judge(restored), **_costs(restored.cost))
            return replace(result, reason=note if restored.labels is not None else ""), restored.image, restored.labels
        if self.volumes.truth is None:
            raise ValueError(f"there is nothing to compare with: {self.volumes.no_truth}")
        source = self.source(row.source)
        labels, costs = self._segment(row, source)
        truth = sitk.GetArrayViewFromImage(self.volumes.truth)
        figures = compare_segmentations(truth, sitk.GetArrayViewFromImage(labels), self.volumes.hr.GetSpacing())
        total = restoration = source.cost or Cost()
        for cost in costs.values():
            total = total.then(cost)
        steps = {name: round(cost.seconds, 3) for name, cost in {"restoration": restoration, **costs}.items()}
        return replace(result, figures=figures, steps=steps, **_costs(total)), source.image, labels

    def source(self, name: str) -> Restored:
        """What a segmenter works on."""
        return Restored(self.volumes.hr, None, Cost()) if name == HR else self.restored(name)

    def restored(self, name: str) -> Restored:
        """The volume of a method; one that failed fails again at once."""
        if name not in self._restored:
            method = self._plan.method(name)
            try:
                self._restored[name] = self._restore(method)
            except Exception as error:
                self._restored[name] = error
                raise
        found = self._restored[name]
        if isinstance(found, Exception):
            raise found
        return found

    def _restore(self, method: Method) -> Restored:
        grid, labels = Grid.of(self.volumes.hr), None
        if method.name == BAND_LIMITED:
            return Restored(band_limited(self.volumes.hr, self._thick.GetSpacing()), None, None)
        model = self._tools.model(method.of_fold(self._fold)) if method.model else None
        with Meter(self._plan.options.device) as meter:
            if model is None:
                image = upsample(self._thick, grid)
            else:
                prediction = PredictionOptions(device=self._plan.options.device)
                agrees = method.consistency
                options = EnhanceOptions(grid.spacing, prediction=prediction, consistency=agrees, refinement=agrees)
                brain = self.volumes.mask if self.volumes.given else None
                made = enhance(self._thick, model, options, mask=brain, should_stop=self._stop)
                image = onto(made.sr, self.volumes.hr)
                labels = None if made.labels is None else onto(made.labels == 1, self.volumes.hr)
            if model is None and method.consistency:
                image = enforce_data_consistency(self._thick, image)
        return Restored(image, labels, meter.cost)

    def _judge(self, restored: Restored) -> dict[str, float]:
        truth = None if restored.labels is None else self.volumes.truth
        labels = None if truth is None else restored.labels
        return evaluate(restored.image, self.volumes.hr, labels, truth, self.volumes.mask)

    def _segment(self, row: Row, source: Restored) -> tuple[sitk.Image, dict[str, Cost]]:
        warped, registration = self._registered(row.source, source.image)
        with Meter() as meter:
            labels = self._plan.tools.segmenters[row.system](
                source.image, self.volumes.mask, warped, self._plan.options.label, self._stop
            )
        return labels, {"registration": registration, "segmentation": meter.cost}

    def _registered(self, source: str, image: sitk.Image) -> tuple[list[WarpedAtlas], Cost]:
        name = f"{self._factor:g}-{source}"
        if self._warped[0] != name:
            self.release()
            # read before, and not counted as registration
            atlases = others(self._tools.atlases(), self._whole, self._fold)

            def register() -> list[WarpedAtlas]:
                return self._plan.tools.register(image, self.volumes.mask, atlases, self._stop)

            key = self._plan.key(Row(self._factor, "registration", source), self._task.digest)
            self._warped = (name, *self._cache.get(name, key, register))
        return self._warped[1:]

    def release(self) -> None:
        """Forget the registered atlases of the input that is done."""
        if self._warped[0]:
            self._cache.drop(self._warped[0])
        self._warped = ("", [], Cost())


def _costs(cost: Cost | None) -> dict[str, float | None]:
    if cost is None:
        return {}
    return {
        "seconds": round(cost.seconds, 3),
        "memory": None if cost.memory is None else round(cost.memory, 1),
    }
