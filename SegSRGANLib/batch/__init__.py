"""Many volumes, each exactly once, here or on SLURM."""

from __future__ import annotations

from ..utils.lazy import exported

__getattr__, __all__ = exported(
    __name__,
    {
        "jobs": ["Job", "find_jobs"],
        "run": ["run_batch"],
        "worker": ["BatchOptions"],
        "slurm.submit": ["run_on_slurm"],
    },
)
