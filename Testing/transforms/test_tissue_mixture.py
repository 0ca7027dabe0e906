"""The mixture finds borders where intensities change, and what it computes is what its equations say."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from SegSRGANLib.transforms.tissue_borders import distances_between
from SegSRGANLib.transforms.tissue_mixture import _BLOCK, ENERGY, Neighbours, TissueMixture

SPACING = (0.5, 1.0, 2.0)
TWO = ENERGY[1 - np.eye(2, dtype=int)]


def _priors(generator, voxels, tissues=3):
    return generator.dirichlet(np.ones(tissues), voxels).astype(np.float32)


def test_neighbours_are_the_six_of_the_mask():
    inside = np.random.default_rng(0).random((4, 5, 6)) > 0.4
    neighbours = Neighbours.of(inside, SPACING)
    places = np.argwhere(inside)
    number = {tuple(place): k for k, place in enumerate(places)}
    steps = np.array([(-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1)])
    for step, indices, weight in zip(steps, neighbours.indices, neighbours.weights.repeat(2), strict=True):
        assert [number.get(tuple(place + step), len(places)) for place in places] == indices.tolist()
        assert weight == pytest.approx(1 / (np.abs(step) @ np.array(SPACING)[::-1]))


def test_one_round_is_what_the_equations_say():
    generator = np.random.default_rng(1)
    inside = generator.random((5, 4, 6)) > 0.3
    count = np.count_nonzero(inside)
    intensity, priors = generator.normal(5, 2, count).astype(np.float32), _priors(generator, count)
    neighbours, beta = Neighbours.of(inside, SPACING), 0.3
    energy = ENERGY[np.array([[0, 1, 2], [1, 0, 1], [2, 1, 0]])]
    mixture = TissueMixture(intensity, priors, neighbours, energy, beta)
    means = (priors * intensity[:, None]).sum(0) / priors.sum(0)
    deviations = np.sqrt((priors * (intensity[:, None] - means) ** 2).sum(0) / priors.sum(0))
    near = np.zeros((count, 3))
    for voxel in range(count):
        for indices, weight in zip(neighbours.indices, neighbours.weights.repeat(2), strict=True):
            if indices[voxel] < count:
                near[voxel] += weight * priors[indices[voxel]]
    logarithm = np.log(priors) + norm.logpdf(intensity[:, None], means, deviations) - beta * near @ energy
    likelihood = mixture.expect()
    np.testing.assert_allclose(mixture.means, means, rtol=1e-4)
    np.testing.assert_allclose(mixture.deviations, deviations, rtol=1e-4)
    expected = np.exp(logarithm - logsumexp(logarithm, axis=1, keepdims=True))
    np.testing.assert_allclose(mixture.posteriors, expected, atol=1e-4)
    constant = 0.5 * np.log(2 * np.pi)
    assert likelihood == pytest.approx(logsumexp(logarithm, axis=1).mean() + constant, abs=1e-3)


def test_a_blurred_prior_becomes_the_edge_of_the_intensities():
    x = np.indices((12, 12, 12))[2]
    truth = x >= 6
    sure = 1 / (1 + np.exp(-(x - 7.5) / 1.5))  # a border 1.5 voxels off, and unsure
    intensity = np.where(truth, 100.0, 50.0) + np.random.default_rng(2).normal(0, 8, truth.shape)
    priors = np.stack([1 - sure, sure], -1).reshape(-1, 2).astype(np.float32)
    inside = np.ones(truth.shape, bool)
    mixture = TissueMixture(intensity.ravel().astype(np.float32), priors, Neighbours.of(inside, (1, 1, 1)), TWO, 0.4)
    mixture.expect(use_neighbours=False)
    for _ in range(3):
        mixture.maximize()
        mixture.expect()
    found = mixture.posteriors.argmax(1).reshape(truth.shape) == 1
    assert (found != truth).mean() < 0.005 < 0.08 < ((sure > 0.5) != truth).mean()
    assert mixture.means == pytest.approx([50, 100], abs=2)


def test_the_random_field_removes_a_lonely_voxel():
    values = np.full((7, 7, 7), 50.0, np.float32)
    values[3, 3, 3] = 64.0
    priors = np.full((values.size, 2), 0.5, np.float32)
    inside = np.ones(values.shape, bool)
    alone, joined = (
        TissueMixture(values.ravel(), priors, Neighbours.of(inside, (1, 1, 1)), TWO, beta) for beta in (0.0, 1.0)
    )
    for mixture in (alone, joined):
        mixture.means, mixture.deviations = np.array([50, 70], np.float32), np.array([5, 5], np.float32)
        for number in range(3):
            mixture.expect(use_neighbours=number > 0)
    centre = values.size // 2
    assert alone.posteriors[centre].argmax() == 1 and joined.posteriors[centre].argmax() == 0


def test_what_no_tissue_explains_keeps_its_prior():
    intensity = np.full(100, 10.0, np.float32)
    intensity[0] = 1e6
    priors = np.tile(np.array([0.7, 0.3], np.float32), (100, 1))
    inside = np.ones((100, 1, 1), bool)
    mixture = TissueMixture(intensity, priors, Neighbours.of(inside, (1, 1, 1)), TWO, 0.4)
    mixture.means, mixture.deviations = np.array([10, 12], np.float32), np.array([1, 1], np.float32)
    mixture.expect()
    assert mixture.posteriors[0] == pytest.approx([0.7, 0.3])
    np.testing.assert_allclose(mixture.posteriors.sum(1), 1, atol=1e-5)


def test_a_tissue_without_a_voxel_and_a_constant_volume_stay_finite():
    priors = np.zeros((8, 3), np.float32)
    priors[:, 0] = 1
    inside = np.ones((2, 2, 2), bool)
    mixture = TissueMixture(
        np.full(8, 5.0, np.float32), priors, Neighbours.of(inside, (1, 1, 1)), ENERGY[[[0, 1, 2]] * 3], 1
    )
    for _ in range(3):
        assert np.isfinite(mixture.expect())
        mixture.maximize()
    np.testing.assert_array_equal(mixture.posteriors, priors)


def test_blocks_change_nothing():
    generator = np.random.default_rng(3)
    count = _BLOCK + 7
    intensity, priors = generator.normal(5, 2, count).astype(np.float32), _priors(generator, count, 2)
    inside = np.ones((count, 1, 1), bool)
    whole = TissueMixture(intensity, priors, Neighbours.of(inside, (1, 1, 1)), TWO, 0.4)
    means, deviations = whole.means, whole.deviations
    whole.expect()
    end = slice(count - 50, count)
    part = TissueMixture(intensity[end], priors[end], Neighbours.of(inside[end], (1, 1, 1)), TWO, 0.4)
    part.means, part.deviations = means, deviations
    part.expect()
    np.testing.assert_allclose(whole.posteriors[end][1:], part.posteriors[1:], atol=1e-6)


def test_tissues_border_where_enough_of_their_faces_touch():
    labels = np.zeros((6, 6, 9), np.uint8)
    labels[..., 3:6], labels[..., 6:] = 1, 2
    assert distances_between(labels, np.arange(3)).tolist() == [[0, 1, 2], [1, 0, 1], [2, 1, 0]]
    assert distances_between(np.stack([labels] * 2), np.arange(3)).tolist() == [[0, 1, 2], [1, 0, 1], [2, 1, 0]]
    assert distances_between(labels, np.array([0, 2, 5])).tolist() == [[0, 1, 2], [1, 0, 2], [2, 2, 0]]
