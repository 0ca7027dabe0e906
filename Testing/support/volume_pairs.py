"""A volume and its estimate."""

import numpy as np
from scipy import ndimage


def volume_pair(shape=(18, 16, 14), seed=0, noise=0.08):
    """A smooth volume in [0, 1] and a noisy estimate of it."""
    rng = np.random.default_rng(seed)
    truth = ndimage.gaussian_filter(rng.random(shape), 1.5)
    truth = ((truth - truth.min()) / np.ptp(truth)).astype(np.float32)
    return truth, (truth + noise * rng.standard_normal(shape)).astype(np.float32)
