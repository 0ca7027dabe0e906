"""Training and fine-tuning of the networks."""

from __future__ import annotations

from ..utils.lazy import exported

__getattr__, __all__ = exported(
    __name__,
    {
        "trainer": ["train"],
        "config": ["TrainingConfig", "make_config"],
    },
)
