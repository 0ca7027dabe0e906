"""Brains without CSF around them: spina bifida before surgery, or a mask that cuts the CSF off.

An atlas with its bright rim of CSF, aligned with such a brain, lies inside it: the rim lands on the cortex. The rim's
brightness tells whether the CSF is there; where it is not, it is taken off the atlases too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import SimpleITK as sitk

from ..data.grid import Grid
from .alignment import blurred
from .atlas import Atlas

_BLUR = 6.0  # mm, FWHM: what is narrower is a fissure
_NEAR_SURFACE = 0.88  # of the blurred brain: about 3 mm below its surface
_BRIGHTEST = 90  # percentile, for thick slices darken most of the rim by the air beside it
_NEARER = 0.25  # of the way from an atlas without CSF to the same with CSF; a doubtful brain has CSF


def lacks_outer_fluid(brain: sitk.Image, whole: sitk.Image, bare: sitk.Image) -> bool:
    """Whether a T2-weighted brain looks like an atlas without outer CSF, rather than like the whole atlas.

    Args:
        brain, whole, bare: float32 volumes, 0 outside the brain.
    """
    low, high = _rim_brightness(bare), _rim_brightness(whole)
    return low < high and _rim_brightness(brain) < low + _NEARER * (high - low)


def without_outer_fluid(atlas: Atlas, fluid: tuple[int, ...]) -> Atlas:
    """The atlas without the CSF around the brain; what lies in narrow fissures stays.

    Args:
        atlas: any atlas.
        fluid: its labels of outer CSF.
    """
    labels = sitk.GetArrayFromImage(atlas.labels)
    outer = np.isin(labels, fluid)
    brain = Grid.of(atlas.labels).image(((labels > 0) & ~outer).astype(np.float32))
    hull = sitk.GetArrayFromImage(blurred(brain, _BLUR)) > 0.5
    labels[outer & ~hull] = 0
    return replace(atlas, labels=Grid.of(atlas.labels).image(labels))


def _rim_brightness(brain: sitk.Image) -> float:
    """Of the layer below the surface, relative to the median of the brain; infinite where no surface is seen."""
    values = sitk.GetArrayFromImage(brain)
    inside = values > 0
    soft = sitk.GetArrayFromImage(blurred(sitk.Cast(brain > 0, sitk.sitkFloat32), _BLUR))
    rim = inside & (soft < _NEAR_SURFACE)
    if not rim.any():  # the mask fills the volume
        return float("inf")
    return float(np.percentile(values[rim], _BRIGHTEST) / np.median(values[inside]))
