"""IMAPA is its equations."""

import itertools

import numpy as np
import SimpleITK as sitk
import torch
from scipy import optimize

from SegSRGANLib.multi_atlas import imapa
from SegSRGANLib.multi_atlas.evidence import WarpedAtlas
from SegSRGANLib.multi_atlas.patch_weights import simplex_weights


def test_weights_are_the_best_convex_combination():
    rng = np.random.default_rng(1)
    for patches in (rng.normal(size=(6, 27)), rng.normal(size=(6, 27)) + 2, np.ones((6, 27))):
        gram = patches @ patches.T
        found = simplex_weights(torch.from_numpy(gram)[None], 0.05)[0].numpy()
        root = np.linalg.cholesky(gram + 0.05 * np.trace(gram) * np.eye(6))
        best = optimize.nnls(root.T, np.linalg.solve(root, np.ones(6)))[0]
        np.testing.assert_allclose(found.sum(), 1, atol=1e-6)
        np.testing.assert_allclose(found, best / best.sum(), atol=1e-3)


def test_imapa_is_its_equations(monkeypatch):
    """One voxel after another, by loops and a generic optimizer, for two iterations."""
    rng = np.random.default_rng(0)
    shape, options = (4, 5, 4), imapa.ImapaOptions(neighbours=6, alphas=(0.0, 0.4), ridge=0.05)
    image = rng.uniform(1, 2, shape).astype(np.float32)
    labels = rng.integers(1, 3, (2, *shape)).astype(np.uint8)
    images = (image + rng.normal(0, 0.2, labels.shape)).astype(np.float32)
    monkeypatch.setattr(imapa, "matched_images", lambda evidence: evidence.images)
    warped = [
        WarpedAtlas("a", sitk.GetImageFromArray(i), sitk.GetImageFromArray(s))
        for i, s in zip(images, labels, strict=True)
    ]
    found = sitk.GetArrayFromImage(imapa.segment(sitk.GetImageFromArray(image), warped, 2, options))
    expected = _imapa_by_loops(
        image / np.percentile(image, 99), images / np.percentile(image, 99), labels == 2, options
    )
    clear = np.abs(expected - 0.5) > 0.01
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(found[clear], expected[clear] > 0.5)


def _imapa_by_loops(image, images, labels, options):
    image = np.pad(image, 2, mode="edge")
    images, labels = (np.pad(v.astype(float), [(0, 0)] + [(2, 2)] * 3, mode="edge") for v in (images, labels))
    estimate = labels.mean(0)
    steps = list(itertools.product((-1, 0, 1), repeat=3))

    def patch(volume, centre):
        return np.array([volume[tuple(np.add(centre, step))] for step in steps])

    for alpha in options.alphas:
        updated = estimate.copy()
        for voxel in itertools.product(*(range(2, n - 2) for n in image.shape)):
            own = np.concatenate([(1 - alpha) ** 0.5 * patch(image, voxel), alpha**0.5 * patch(estimate, voxel)])
            rows, centres = [], []
            for atlas, step in itertools.product(range(len(images)), steps):
                there = tuple(np.add(voxel, step))
                example = (1 - alpha) ** 0.5 * patch(images[atlas], there), alpha**0.5 * patch(labels[atlas], there)
                rows.append(np.concatenate(example) - own)
                centres.append(labels[atlas][there])
            rows, centres = np.array(rows), np.array(centres)
            best = np.argsort((rows**2).sum(1))[: options.neighbours]
            gram = rows[best] @ rows[best].T
            gram += options.ridge * np.trace(gram) * np.eye(len(best))
            weights = optimize.nnls(np.linalg.cholesky(gram).T, np.linalg.solve(np.linalg.cholesky(gram), np.ones(6)))[
                0
            ]
            updated[voxel] = weights @ centres[best] / weights.sum()
        estimate = updated
    return estimate[2:-2, 2:-2, 2:-2]
