"""SegSRGAN: joint super-resolution and cortical segmentation of neonatal brain MRI.

Importing this package has no effects and does not load torch; the public names are imported when they are first used.
"""

from __future__ import annotations

from .utils.lazy import exported

__version__ = "0.1.0"

__getattr__, __all__ = exported(
    __name__,
    {
        "batch.run": ["run_batch"],
        "inference.enhancement": ["Enhancement"],
        "inference.options": ["EnhanceOptions"],
        "inference.pipeline": ["enhance"],
        "io.volume": ["read_volume", "write_volume"],
        "metrics.evaluation": ["evaluate"],
        "models.checkpoint": ["load_model"],
        "models.registry": ["list_models"],
        "training.trainer": ["train"],
    },
)
