"""Nothing of medical imaging: errors, progress, optional packages, files, devices, memory, worker processes."""

from __future__ import annotations

from .lazy import exported

__getattr__, __all__ = exported(
    __name__,
    {
        "errors": [
            "SegSRGANError",
            "VolumeError",
            "DataError",
            "CheckpointError",
            "DownloadError",
            "TrainingError",
            "MissingPackage",
            "Cancelled",
        ],
        "progress": ["Progress", "ShouldStop", "scaled", "stop_if"],
        "optional": ["require"],
        "atomic_files": ["atomic_path", "staging_folder", "sweep_partial"],
        "devices": ["choose_device"],
        "memory": ["available_memory", "kept_heap"],
        "process_pool": ["run_pool", "Outcome"],
        "notice": ["RESEARCH_USE_ONLY"],
    },
)
