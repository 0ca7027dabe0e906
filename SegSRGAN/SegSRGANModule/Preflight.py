"""What Apply will do, in words, and what speaks against it; shown before anything runs."""

from __future__ import annotations

from dataclasses import dataclass

import qt
from slicer.i18n import tr as _

from .Models import ModelChoice
from .Settings import EnhanceSettings

# Seconds for a million voxels of the result, until a run on this machine was timed.
_ASSUMED_SECONDS = {"cpu": 20.0, "gpu": 0.5}
_LARGE = 400e6  # voxels of the result; about 8 GB of memory in the run


@dataclass(frozen=True)
class Preflight:
    """One line that says what will happen, and sentences of warning."""

    line: str
    warnings: list[str]


def describe(volumeNode, settings: EnhanceSettings, model: ModelChoice | None) -> Preflight:
    """Look at the volume and the settings; nothing is read but the geometry and the range of values.

    Raises:
        ValueError: the volume cannot be enhanced at this spacing; the message says why.
    """
    from SegSRGANLib.data.grid import output_grid
    from SegSRGANLib.quality import preflight

    grid = _gridOf(volumeNode)
    output = output_grid(grid, settings.spacing)
    voxels = output.size[0] * output.size[1] * output.size[2]
    line = f"{preflight.describe(grid, output)}, {_duration(voxels, settings.device)}"
    warnings = []
    if model and model.trainingSpacing and model.trainingSlices:
        warnings += preflight.warnings_for(grid, output, model.trainingSpacing, model.trainingSlices)
    warnings += preflight.contrast_warnings(volumeNode.GetName(), *volumeNode.GetImageData().GetScalarRange())
    return Preflight(line, warnings + _sceneWarnings(volumeNode, voxels))


def remember(voxels: int, seconds: float, device: str) -> None:
    """Note how long a run took, so that the next estimate is this machine's own."""
    qt.QSettings().setValue(_settingOf(device), seconds / (voxels / 1e6))


def _duration(voxels: int, device: str) -> str:
    name = "cpu" if device == "cpu" or (device == "auto" and not _isGpuKnown()) else "gpu"
    rate = qt.QSettings().value(_settingOf(name))
    seconds = voxels / 1e6 * float(rate if rate is not None else _ASSUMED_SECONDS[name])
    text = words(seconds)
    place = _("on this CPU") if name == "cpu" else _("on the GPU")
    return _("about {time} {place}").format(time=text, place=place)


def words(seconds: float) -> str:
    """A duration as one would say it: "40 s", "2 min", "1.5 h"."""
    if seconds < 90:
        return _("{number} s").format(number=max(1, round(seconds)))
    if seconds < 90 * 60:
        return _("{number} min").format(number=round(seconds / 60))
    return _("{number:.1f} h").format(number=seconds / 3600)


def _settingOf(device: str) -> str:
    """`device` is "cpu", "gpu", or what the record of a run says, such as "cpu (2 threads)"."""
    return f"SegSRGAN/SecondsPerMegavoxel/{'cpu' if device.startswith('cpu') else 'gpu'}"


def _isGpuKnown() -> bool:
    """Whether a run on this machine used a GPU; asking PyTorch would load it into Slicer."""
    return qt.QSettings().value(_settingOf("gpu")) is not None


def _gridOf(volumeNode):
    """The library's grid of a node, from its matrix alone."""
    import numpy as np
    import slicer
    import vtk

    from SegSRGANLib.data.grid import Grid

    if volumeNode.GetImageData() is None:
        raise ValueError(_("{name} has no voxels; load it again.").format(name=volumeNode.GetName()))
    size = volumeNode.GetImageData().GetDimensions()
    if min(size) < 2:
        raise ValueError(_("{name} is a single slice; a volume is needed.").format(name=volumeNode.GetName()))
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    ijkToRas = slicer.util.arrayFromVTKMatrix(matrix)
    spacing = np.linalg.norm(ijkToRas[:3, :3], axis=0)
    direction = tuple(map(float, (ijkToRas[:3, :3] / spacing).ravel()))
    return Grid(size, tuple(map(float, spacing)), tuple(map(float, ijkToRas[:3, 3])), direction)


def _sceneWarnings(volumeNode, voxels: int) -> list[str]:
    warnings = []
    if transform := volumeNode.GetParentTransformNode():
        text = _("The volume is under the transform {name}; the result will be placed under it too.")
        warnings.append(text.format(name=transform.GetName()))
    if voxels > _LARGE:
        warnings.append(_("The result is very large; choose a coarser output spacing or crop the volume."))
    return warnings
