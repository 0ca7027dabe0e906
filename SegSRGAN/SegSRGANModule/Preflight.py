"""What Apply will do, in words, and what speaks against it; shown before anything runs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import qt
from slicer.i18n import tr as _

from .Models import ModelChoice
from .Scene import Brain, Inputs, OtherOverlays, Patients
from .Scene.VolumeNodes import gridOf
from .Settings import EnhanceSettings

# Seconds for a million voxels, until a run on this machine was timed: of the network, and of all the rest.
_ASSUMED_SECONDS = {"cpu": 20.0, "gpu": 0.5}
_ASSUMED_OTHER = 2.0
_OTHER_SETTING = "SegSRGAN/OtherSecondsPerMegavoxel"
_LARGE = 400e6  # voxels of the result; about 8 GB of memory in the run


@dataclass(frozen=True)
class Preflight:
    """One line that says what will happen, and sentences of warning."""

    line: str
    warnings: list[str]


def describe(volumeNode, settings: EnhanceSettings, model: ModelChoice | None, mask=None, moreStacks=()) -> Preflight:
    """Look at the volume and the settings; nothing is read but the geometry and the range of values.

    Args:
        moreStacks: further scans of the child that are fused with `volumeNode`.

    Raises:
        ValueError: the volume cannot be enhanced at this spacing; the message says why.
    """
    from SegSRGANLib.data.grid import output_grid
    from SegSRGANLib.quality import preflight

    Inputs.check(volumeNode, mask)
    stacks = 1 + len(moreStacks)
    grid = gridOf(volumeNode)
    output = output_grid(grid, settings.spacing)
    voxels = output.size[0] * output.size[1] * output.size[2]
    line = f"{preflight.describe(grid, output)}, {_duration(workOf(volumeNode, settings, mask), stacks)}"
    if stacks > 1:
        line = _("{count} stacks of one child become one volume: {line}").format(count=stacks, line=line)
    warnings = []
    if model and model.trainingSpacing and model.trainingSlices:
        warnings += preflight.warnings_for(grid, output, model.trainingSpacing, model.trainingSlices)
    warnings += preflight.contrast_warnings(volumeNode.GetName(), *_range(volumeNode))
    warnings += Patients.warnings(volumeNode, mask, moreStacks)
    warnings += filter(None, [OtherOverlays.describe(volumeNode, OtherOverlays.over(volumeNode))])
    return Preflight(line, warnings + _sceneWarnings(volumeNode, voxels))


@dataclass(frozen=True)
class Work:
    """What a run has to do: voxels of the result, and those that the network sees; with which model and device."""

    voxels: int
    seen: int
    model: str
    device: str


def workOf(volumeNode, settings: EnhanceSettings, mask=None) -> Work:
    """The work of a run; with a mask the network sees only the box around it. `settings` names its model."""
    from SegSRGANLib.data.grid import output_grid

    output = output_grid(gridOf(volumeNode), settings.spacing)
    voxels = math.prod(output.size)
    seen = voxels
    if mask is not None:
        bounds = Brain.bounds(mask, None, volumeNode)
        box = math.prod((b - a) / settings.spacing for a, b in zip(bounds[::2], bounds[1::2], strict=True))
        seen = min(voxels, round(box))
    return Work(voxels, seen, settings.model, settings.device)


def remember(work: Work, record: dict, wall: float) -> None:
    """Note how long a run took (wall: seconds), so that the next estimate is that of this machine and model."""
    device = str(record.get("device", "cpu"))
    network = float(record.get("seconds", {}).get("prediction", 0.0))
    settings = qt.QSettings()
    settings.setValue(_networkSetting(device, work.model), network / max(work.seen / 1e6, 1e-3))
    settings.setValue(_OTHER_SETTING, max(0.0, wall - network) / max(work.voxels / 1e6, 1e-3))


def seconds(work: Work, stacks: int = 1) -> float:
    """How long a run will take, from earlier ones on this machine; else from assumed speeds.

    Each stack more is super-resolved, registered and fused: about the time of a volume.
    """
    name = _deviceName(work.device)
    network = _setting(_networkSetting(name, work.model), _ASSUMED_SECONDS[name])
    other = _setting(_OTHER_SETTING, _ASSUMED_OTHER)
    return stacks * (network * work.seen + other * work.voxels) / 1e6


def _duration(work: Work, stacks: int) -> str:
    place = _("on this CPU") if _deviceName(work.device) == "cpu" else _("on the GPU")
    return _("about {time} {place}").format(time=words(seconds(work, stacks)), place=place)


def _deviceName(device: str) -> str:
    return "cpu" if device == "cpu" or (device == "auto" and not _isGpuKnown()) else "gpu"


def _setting(name: str, default: float) -> float:
    value = qt.QSettings().value(name)
    return default if value is None else float(value)


def _networkSetting(device: str, model: str) -> str:
    """`device` is "cpu", "gpu", or what the record of a run says, such as "cpu (2 threads)"."""
    return f"SegSRGAN/NetworkSecondsPerMegavoxel/{'cpu' if device.startswith('cpu') else 'gpu'}/{model}"


def _isGpuKnown() -> bool:
    """Whether a run on this machine used a GPU; asking PyTorch would load it into Slicer."""
    settings = qt.QSettings()
    return any(key.startswith("SegSRGAN/NetworkSecondsPerMegavoxel/gpu") for key in settings.allKeys())


def _range(volumeNode) -> tuple[float, float]:
    values = Inputs.valuesOf(volumeNode)
    return values.low, values.high


def words(seconds: float) -> str:
    """A duration as one would say it: "40 s", "2 min", "1.5 h"."""
    if seconds < 90:
        return _("{number} s").format(number=max(1, round(seconds)))
    if seconds < 90 * 60:
        return _("{number} min").format(number=round(seconds / 60))
    return _("{number:.1f} h").format(number=seconds / 3600)


def _sceneWarnings(volumeNode, voxels: int) -> list[str]:
    warnings = []
    if transform := volumeNode.GetParentTransformNode():
        text = _("The volume is under the transform {name}; the result will be placed under it too.")
        warnings.append(text.format(name=transform.GetName()))
    if sequence := Inputs.sequenceWarning(volumeNode):
        warnings.append(sequence)
    if voxels > _LARGE:
        warnings.append(_("The result is very large; choose a coarser output spacing or crop the volume."))
    return warnings
