"""Draw the icon: the phantom's brain, coarse on the left as scanned, sharp on the right with its cortex outlined.

python Resources/draw_icon.py        writes SegSRGAN.png and SegSRGAN/Resources/Icons/SegSRGAN.png
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import SimpleITK as sitk
from matplotlib.patches import FancyBboxPatch
from scipy.ndimage import gaussian_filter

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

NIGHT, ORANGE, LINE = "#12233a", "#ff9d2e", "#e8eef5"
PIXELS, DPI = 128, 128
SLICE_MM = 6.0  # thickness of the coarse half, chosen to be seen at 32 pixels


def coronal_slice() -> tuple[np.ndarray, np.ndarray, float]:
    """Intensity and cortex (rows from top to bottom, columns) and the spacing in mm of the phantom's middle."""
    from SegSRGANLib.datasets.phantom import CORTEX, neonatal_phantom

    spacing = 0.5
    phantom = neonatal_phantom(spacing=spacing)
    volume, labels = (sitk.GetArrayFromImage(image)[::-1] for image in (phantom.t2w, phantom.labels))
    middle = volume.shape[1] // 2 + 6
    inside = labels[:, middle] > 0
    return np.where(inside, volume[:, middle], np.nan), labels[:, middle] == CORTEX, spacing


def coarse(picture: np.ndarray, spacing: float) -> np.ndarray:
    """Thick, wide blocks: the mean of what lies in each."""
    high, wide = round(SLICE_MM / spacing), round(SLICE_MM / 2 / spacing)
    result = np.full_like(picture, np.nan)
    for row in range(0, picture.shape[0], high):
        for column in range(0, picture.shape[1], wide):
            block = picture[row : row + high, column : column + wide]
            if np.isfinite(block).mean() > 0.5:
                result[row : row + high, column : column + wide] = np.nanmean(block)
    return result


def draw() -> plt.Figure:
    """The icon on a square of 128 pixels."""
    picture, cortex, spacing = coronal_slice()
    rows, columns = np.nonzero(np.isfinite(picture))
    box = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
    blocks, picture, cortex = coarse(picture, spacing)[box], picture[box], cortex[box]
    height, width = picture.shape
    half = width // 2
    figure = plt.figure(figsize=(PIXELS / DPI, PIXELS / DPI), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    margin = 0.07 * max(height, width)
    side = max(height, width) + 2 * margin
    left, top = (width - side) / 2, (height - side) / 2
    axes.add_patch(
        FancyBboxPatch(
            (left, top), side, side, boxstyle=f"round,pad=0,rounding_size={0.16 * side}", color=NIGHT, lw=0, zorder=-1
        )
    )
    span = {"cmap": "gray", "vmin": 600, "vmax": 2700}
    axes.imshow(blocks[:, :half], extent=(0, half, height, 0), interpolation="nearest", **span)
    axes.imshow(picture[:, half:], extent=(half, width, height, 0), interpolation="bilinear", **span)
    smooth = gaussian_filter(cortex.astype(float), 1.2)[:, half:]
    axes.contour(np.arange(half, width), np.arange(height), smooth, [0.5], colors=ORANGE, linewidths=0.7)
    axes.plot([half, half], [top + 0.05 * side, top + 0.95 * side], color=LINE, lw=1.2, solid_capstyle="round")
    axes.set(xlim=(left, left + side), ylim=(top + side, top))
    axes.set_aspect("equal")
    axes.axis("off")
    return figure


if __name__ == "__main__":
    figure = draw()
    for path in (ROOT / "SegSRGAN.png", ROOT / "SegSRGAN" / "Resources" / "Icons" / "SegSRGAN.png"):
        figure.savefig(path, dpi=DPI, transparent=True)
