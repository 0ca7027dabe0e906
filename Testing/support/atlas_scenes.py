"""Phantoms that differ as atlases do."""

import numpy as np
import SimpleITK as sitk

from SegSRGANLib.data.grid import Grid
from SegSRGANLib.multi_atlas import drawem, imapa
from SegSRGANLib.multi_atlas.alignment import resampled
from SegSRGANLib.multi_atlas.deformation import warp_labels
from SegSRGANLib.multi_atlas.evidence import WarpedAtlas

SYSTEMS = {"imapa": imapa.segment, "drawem": drawem.segment}


def dice(found: sitk.Image, truth: np.ndarray) -> float:
    found = sitk.GetArrayFromImage(found) > 0
    return 2 * np.count_nonzero(found & truth) / (np.count_nonzero(found) + np.count_nonzero(truth))


def jitter(grid: Grid, amplitude: float, seed: int, scale: float = 1.0) -> sitk.Transform:
    """A smooth random deformation of `amplitude` mm (root mean square along each axis) after a scaling."""
    rng = np.random.default_rng(seed)
    fields = []
    for _ in range(3):
        noise = grid.image(rng.standard_normal(grid.shape).astype(np.float32))
        smooth = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(noise, 6.0))
        fields.append(amplitude * smooth / smooth.std())
    field = sitk.GetImageFromArray(np.stack(fields, -1).astype(np.float64), isVector=True)
    field.CopyInformation(grid.image(np.zeros(grid.shape, np.uint8)))
    affine = sitk.AffineTransform(3)
    affine.Scale(scale)
    return sitk.CompositeTransform([affine, sitk.DisplacementFieldTransform(field)])


def jittered(image: sitk.Image, labels: sitk.Image, amplitude: float, seed: int, scale: float = 1.0) -> WarpedAtlas:
    """The same brain, deformed, on another intensity scale and with noise."""
    grid, transform = Grid.of(image), jitter(Grid.of(image), amplitude, seed, scale)
    noise = np.random.default_rng(seed).normal(0, 15, grid.shape).astype(np.float32)
    values = sitk.GetArrayFromImage(resampled(image, grid, transform)) * (0.8 + 0.1 * seed) + noise
    return WarpedAtlas(f"sub-A{seed}", grid.image(values.astype(np.float32)), warp_labels(labels, grid, transform))
