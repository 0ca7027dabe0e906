"""Cross-sections of results, kept for the pictures when the volumes are gone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

PLANES = ("sagittal", "coronal", "axial")  # across x, y and z
_MARGIN = 5.0  # mm around the brain


@dataclass(frozen=True)
class Cut:
    """Where to cut volumes in LPS order: a point in voxels (x, y, z), a box around the brain. peak: largest value."""

    point: tuple[int, int, int]
    box: tuple[tuple[int, int], ...]
    peak: float

    @classmethod
    def through(cls, hr: sitk.Image, truth: sitk.Image | None = None, mask: sitk.Image | None = None) -> Cut:
        """Through the middle of one hemisphere of the cortex, or else of the brain, or of all that is not dark.

        Args:
            hr: the volume. truth: its cortex, not 0. mask: its brain, not 0; all on one grid.
        """
        upright = _upright(hr)
        values = sitk.GetArrayFromImage(upright)
        peak = float(values.max())
        shown = next((image for image in (truth, mask) if image is not None), None)
        inside = values > 0.1 * peak if shown is None else sitk.GetArrayFromImage(_upright(shown)) != 0
        spacing, point, box = upright.GetSpacing(), [], []
        for axis in range(3):
            hits = np.flatnonzero(inside.any(axis=tuple(k for k in range(3) if k != 2 - axis)))
            low, high = (int(hits[0]), int(hits[-1])) if hits.size else (0, inside.shape[2 - axis] - 1)
            margin = round(_MARGIN / spacing[axis])
            # the hemisphere at the right of the picture: on the midline there is little cortex
            point.append(round(low + (0.68, 0.55, 0.55)[axis] * (high - low)))
            box.append((max(0, low - margin), min(inside.shape[2 - axis], high + 1 + margin)))
        return cls(tuple(point), tuple(box), peak)  # type: ignore[arg-type]

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
            upright = _upright(kind)
            spacing, array = upright.GetSpacing(), sitk.GetArrayFromImage(upright)
            for axis, name in enumerate(PLANES):
                plane = self._plane(array, axis)
                found[name + suffix] = (
                    (plane != 0).astype(np.uint8) if suffix else (plane / self.peak).astype(np.float16)
                )
                across, down = (k for k in range(3) if k != axis)
                found[f"aspect_{name}"] = np.array(spacing[down] / spacing[across])
        return found

    def _plane(self, array: np.ndarray, axis: int) -> np.ndarray:
        """One plane of an array (z, y, x) in LPS order; anterior or superior up, the patient's right at the left."""
        box = [slice(*self.box[k]) for k in (2, 1, 0)]
        box[2 - axis] = slice(self.point[axis], self.point[axis] + 1)
        plane = np.squeeze(array[tuple(box)], axis=2 - axis)
        return plane if axis == 2 else plane[::-1]


def _upright(image: sitk.Image) -> sitk.Image:
    return sitk.DICOMOrient(image, "LPS")
