"""Cross-sections as radiologists see them: anterior and superior up, the patient's right at the left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..transforms.components import bounding_box

PLANES = ("sagittal", "coronal", "axial")  # across x, y and z
_MARGIN = 5.0  # mm around the brain
_STRAY = 0.5  # percent of the voxels at either end that may be stray
_ENOUGH = 500_000  # voxels that tell a percentile well enough for a picture


@dataclass(frozen=True)
class Plane:
    """One cross-section. pixels: (rows, columns). spacing: mm of a row and of a column."""

    name: str
    pixels: np.ndarray
    spacing: tuple[float, float]


def upright(image: sitk.Image) -> sitk.Image:
    """The volume with its axes in the order and sense closest to LPS."""
    return sitk.DICOMOrient(image, "LPS")


def plane_across(image: sitk.Image, axis: int) -> str:
    """The name of the plane in which slices lie that are stacked along a voxel axis (0, 1 or 2) of a volume."""
    direction = np.array(image.GetDirection()).reshape(3, 3)
    return PLANES[int(np.argmax(np.abs(direction[:, axis])))]


def cut_plane(image: sitk.Image, axis: int, index: int) -> Plane:
    """One plane of an upright volume.

    Args:
        image: see `upright`. axis: the plane lies across x (0), y (1) or z (2). index: of its voxels along that axis.
    """
    pixels = np.take(sitk.GetArrayViewFromImage(image), index, axis=2 - axis)
    spacing = image.GetSpacing()
    across, down = (k for k in range(3) if k != axis)
    return Plane(PLANES[axis], pixels if axis == 2 else pixels[::-1], (spacing[down], spacing[across]))


def grey_window(image: sitk.Image) -> tuple[float, float]:
    """Grey levels up to the 99.5th percentile of the positive voxels; interpolation's undershoots count as dark."""
    array = sitk.GetArrayViewFromImage(image)
    step = max(1, int((array.size / _ENOUGH) ** (1 / 3)))  # what a percentile of so many voxels is, fewer tell as well
    array = array[::step, ::step, ::step]
    positive = array[array > 0]
    return float(min(np.percentile(array, 0.5), 0)), float(np.percentile(positive, 99.5)) if positive.size else 1.0


def extent(labels: sitk.Image) -> np.ndarray | None:
    """The voxels (x, y, z) between which nearly all that is not 0 lies, (2, 3); None where all is 0."""
    voxels = np.nonzero(sitk.GetArrayViewFromImage(labels))
    if not voxels[0].size:
        return None
    return np.array([np.percentile(v, (_STRAY, 100 - _STRAY)) for v in reversed(voxels)]).T


def edge(inside: np.ndarray) -> np.ndarray:
    """Pixels inside with a neighbour outside."""
    padded = np.pad(inside, 1)
    neighbours = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return inside & ~neighbours


@dataclass(frozen=True)
class Cut:
    """Where to cut volumes in LPS order: a point in voxels (x, y, z), a box around the brain. peak: largest value."""

    point: tuple[int, int, int]
    box: tuple[slice, slice, slice]
    peak: float

    @classmethod
    def through(cls, hr: sitk.Image, truth: sitk.Image | None = None, mask: sitk.Image | None = None) -> Cut:
        """Through the middle of one hemisphere of the cortex, or else of the brain, or of all that is not dark.

        Args:
            hr: the volume. truth: its cortex, not 0. mask: its brain, not 0; all on one grid.
        """
        volume = upright(hr)
        values = sitk.GetArrayViewFromImage(volume)
        peak = float(values.max())
        shown = next((image for image in (truth, mask) if image is not None), None)
        inside = values > 0.1 * peak if shown is None else sitk.GetArrayFromImage(upright(shown)) != 0
        if not inside.any():
            inside = np.ones_like(inside)
        core = bounding_box(inside)[::-1]
        box = bounding_box(inside, [round(_MARGIN / s) for s in reversed(volume.GetSpacing())])[::-1]
        # the hemisphere at the right of the picture: on the midline there is little cortex
        x, y, z = (round(c.start + at * (c.stop - 1 - c.start)) for c, at in zip(core, (0.68, 0.55, 0.55), strict=True))
        return cls((x, y, z), box, peak)

    def planes(self, image: sitk.Image | None, labels: sitk.Image | None) -> dict[str, np.ndarray]:
        """The three planes of a volume, float16 relative to the brightest value, and of its segmentation, uint8.

        Returns:
            By name: "coronal" and "coronal_labels", for instance, (rows, columns) as radiologists see them; and
            "aspect_coronal", mm of a row by mm of a column.
        """
        found: dict[str, np.ndarray] = {}
        for kind, suffix in ((image, ""), (labels, "_labels")):
            if kind is None:
                continue
            volume = upright(kind)[self.box]
            for axis, name in enumerate(PLANES):
                plane = cut_plane(volume, axis, self.point[axis] - self.box[axis].start)
                found[name + suffix] = (
                    (plane.pixels != 0).astype(np.uint8) if suffix else (plane.pixels / self.peak).astype(np.float16)
                )
                found[f"aspect_{name}"] = np.array(plane.spacing[0] / plane.spacing[1])
        return found
