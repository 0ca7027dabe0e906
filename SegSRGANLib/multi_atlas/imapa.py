"""IMAPA: the iterative multi-atlas patch-based approach.

C. Tor-Diez, N. Passat, I. Bloch, S. Faisan, N. Bednarek, F. Rousseau, "An iterative multi-atlas patch-based approach
for cortex segmentation from neonatal MRI", Computerized Medical Imaging and Graphics 70 (2018) 73-82.

Around each voxel x of the volume, the atlases hold examples: patches of intensity I_j with the labels L_j. The patch of
x joins its intensity with the segmentation S found so far, and is written as a convex combination of its K nearest
examples,

    min_w  (1 - alpha) |I_x - sum_j w_j I_j|^2 + alpha |S_x - sum_j w_j L_j|^2,    w_j >= 0, sum_j w_j = 1,

with a ridge as in locally linear embedding. The new segmentation is S(x) = sum_j w_j L_j(x_j), from the labels of the
examples' centres. Each iteration has its alpha, the first 0 (no segmentation is known yet). In the end S > 1/2 is the
tissue.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
import torch

from ..utils.progress import Progress, ShouldStop, scaled, stop_if
from .evidence import Evidence, WarpedAtlas, gather
from .intensity_matching import matched_images
from .patch_search import PatchSearch
from .patch_weights import simplex_weights

_SLAB = 6  # slices at a time, which bounds the memory
_CHUNK = 8192  # patches at a time


@dataclass(frozen=True)
class ImapaOptions:
    """Parameters of IMAPA.

    patch, search: half widths in voxels of the patch and of the search window. neighbours: K. alphas: share of the
    segmentation in the patches, one number an iteration. ridge: relative to the trace of the Gram matrix.
    """

    patch: int = 1
    search: int = 1
    neighbours: int = 20
    alphas: tuple[float, ...] = (0.0, 0.25)
    ridge: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ValueError: a negative width, no neighbour, no iteration, or an alpha outside 0 to 1.
        """
        if self.patch < 0 or self.search < 0:
            raise ValueError(f"The half widths must not be negative, but are {self.patch} and {self.search}.")
        if self.neighbours < 1:
            raise ValueError(f"IMAPA needs at least one neighbour, not {self.neighbours}.")
        if not self.alphas or not all(0 <= alpha <= 1 for alpha in self.alphas):
            raise ValueError(f"IMAPA needs at least one alpha, each between 0 and 1, not {self.alphas}.")


def segment(
    image: sitk.Image,
    warped: Sequence[WarpedAtlas],
    label: int,
    options: ImapaOptions = ImapaOptions(),
    mask: sitk.Image | None = None,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> sitk.Image:
    """Segment one tissue.

    Only voxels whose examples disagree are computed: where all have one label, every convex combination has it too.

    Args:
        image: T2-weighted volume.
        warped: its registered atlases, from `registration.register_atlases`.
        label: the wanted tissue's number in the atlases.
        options: see `ImapaOptions`.
        mask: of the brain, on the image's grid; by default where at least half of the atlases have a tissue.
        progress: called with the fraction done.
        should_stop: asked between slabs of slices, about every second.

    Returns:
        uint8, 0 or 1, on the image's grid.

    Raises:
        ValueError: no atlas, another grid, an empty mask, or no atlas with the label inside the mask.
        Cancelled: when `should_stop` says so.
    """
    evidence = gather(image, warped, label, mask, options.patch + options.search)
    search = _search(evidence, label, options)
    estimate, region = _votes(search)
    region &= torch.from_numpy(evidence.mask)
    report = scaled(progress, 0, 1)
    for step, alpha in enumerate(options.alphas):
        updated = estimate.clone()
        for start in range(0, len(region), _SLAB):
            stop_if(should_stop)
            report((step + start / len(region)) / len(options.alphas), "IMAPA")
            slices = slice(start, min(start + _SLAB, len(region)))
            for voxels, values in _updates(search, estimate, region[slices], slices, alpha, options):
                updated.view(-1)[voxels] = values
        estimate = updated
    report(1.0, "IMAPA done")
    return evidence.whole(_inner(estimate, search.margin).numpy() > 0.5)


def _search(evidence: Evidence, label: int, options: ImapaOptions) -> PatchSearch:
    """Intensities divided by the volume's 99th percentile, everything padded by its border values."""
    margin = options.patch + options.search
    widths = [(margin, margin)] * 3
    scale = np.float32(1 / max(np.percentile(evidence.image[evidence.mask], 99), 1e-6))

    def padded(volumes: np.ndarray) -> torch.Tensor:
        lead = [(0, 0)] * (volumes.ndim - 3)
        return torch.from_numpy(np.pad(volumes, lead + widths, mode="edge").astype(np.float32))

    image, images = padded(evidence.image * scale), padded(matched_images(evidence) * scale)
    return PatchSearch(image, images, padded(evidence.labels == label), options.patch, options.search)


def _votes(search: PatchSearch) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean of the atlases' labels (padded), and where the examples of a voxel disagree (not padded)."""
    votes = search.labels.mean(0)
    width = 2 * search.search + 1
    pooled = torch.nn.functional.max_pool3d(torch.stack([votes, -votes])[None], width, 1, search.search)[0]
    return votes, _inner((pooled[0] > 0) & (pooled[1] > -1), search.margin)


def _updates(
    search: PatchSearch,
    estimate: torch.Tensor,
    wanted: torch.Tensor,
    slices: slice,
    alpha: float,
    options: ImapaOptions,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """One iteration on the wanted voxels of some slices: their flat indices and new values, piece by piece."""
    if not wanted.any():
        return
    distances = search.distances(estimate, alpha, slices, wanted)
    count = min(options.neighbours, distances.shape[1])
    nearest = torch.topk(distances, count, largest=False, sorted=False).indices
    voxels = _flat_index(wanted, slices.start, search)
    examples = voxels[:, None] + search.offsets()[nearest]
    for part, own in zip(examples.split(_CHUNK), voxels.split(_CHUNK), strict=True):
        yield own, _fuse(search, estimate, own, part, alpha, options.ridge)


def _fuse(
    search: PatchSearch, estimate: torch.Tensor, voxels: torch.Tensor, examples: torch.Tensor, alpha: float,
    ridge: float,
) -> torch.Tensor:  # fmt: skip
    """The new segmentation of some voxels from their nearest examples, both as indices into flattened volumes."""
    around = search.patch_offsets()
    images, labels = search.images.view(-1), search.labels.view(-1)
    here, there = voxels[:, None] + around, examples[..., None] + around
    difference = (images[there] - search.image.view(-1)[here][:, None]) * (1 - alpha) ** 0.5
    if alpha:
        segmented = (labels[there] - estimate.view(-1)[here][:, None]) * alpha**0.5
        difference = torch.cat([difference, segmented], -1)
    weights = simplex_weights(difference @ difference.mT, ridge)
    return (weights * labels[examples]).sum(1)


def _flat_index(wanted: torch.Tensor, first: int, search: PatchSearch) -> torch.Tensor:
    """Where the wanted voxels of some slices lie in the flattened padded volume."""
    _, height, width = search.image.shape
    z, y, x = (axis + search.margin for axis in torch.nonzero(wanted, as_tuple=True))
    return ((z + first) * height + y) * width + x


def _inner(volume: torch.Tensor, margin: int) -> torch.Tensor:
    """A volume without its padding."""
    return volume[tuple(slice(margin, length - margin) for length in volume.shape)]
