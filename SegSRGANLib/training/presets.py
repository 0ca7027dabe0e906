"""Named starting points. A configuration file or an option overrides any of their values."""

from __future__ import annotations

from typing import Any

DEFAULT_PRESET = "content"
FINE_TUNING_PRESET = "fine-tune"

# The paper's training: Pham et al., ISBI 2019, Section 3.1. 400 patches a volume are what its grid of patches, one
# every 20 voxels, cuts from a brain.
_PAPER: dict[str, Any] = {
    "epochs": 200,
    "patches_per_subject": 400,
    "loss": {
        "intensity_weight": 0.5,
        "segmentation_weight": 0.5,
        "dice": 0.0,
        "cross_entropy": 0.0,
        "adversarial": 1e-3,
        "gradient_penalty": 10.0,
        "critic_steps": 5,
    },
    "optimizer": {
        "batch": 16,
        "rate": 1e-4,
        "betas": [0.5, 0.999],
        "schedule": "constant",
        "warmup": 0,
        "output_rate": [1.0, 1.0],
        "clip": None,
        "average": 0.0,
    },
    "simulation": {"patch": 64},
}

# Without a critic, with a large rate that falls and averaged weights: the most quality for an hour of CPU.
_CONTENT: dict[str, Any] = {}

# A released model on a few volumes of another scanner: a tenth of the rate, so that it keeps what it knows.
_FINE_TUNE: dict[str, Any] = {
    "epochs": 20,
    "optimizer": {"rate": 4e-5, "warmup": 20, "average": 0.99},
}

PRESETS: dict[str, dict[str, Any]] = {"paper": _PAPER, DEFAULT_PRESET: _CONTENT, FINE_TUNING_PRESET: _FINE_TUNE}
