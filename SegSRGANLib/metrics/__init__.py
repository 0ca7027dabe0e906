"""Measures of a result against its truth."""

from __future__ import annotations

from ..utils.lazy import exported

__getattr__, __all__ = exported(
    __name__,
    {
        "image": ["psnr", "ssim"],
        "spectrum": ["energy_ratios"],
        "segmentation": ["dice", "hd95", "assd", "tolerant_dice", "volume_bias"],
        "evaluation": ["evaluate"],
    },
)
