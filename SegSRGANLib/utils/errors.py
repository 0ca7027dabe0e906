"""The errors of the library; every message is one sentence: what is wrong, the value, and what to do."""

from __future__ import annotations


class SegSRGANError(Exception):
    """What this library raises on purpose."""


class VolumeError(SegSRGANError, ValueError):
    """A file cannot be used; the message is one sentence: which file, what is wrong with it and what to do."""


class DataError(SegSRGANError, ValueError):
    """The data cannot be used; the message says where and why in one sentence."""


class CheckpointError(SegSRGANError, ValueError):
    """A model file that cannot be used; the message says why in one sentence."""


class DownloadError(SegSRGANError, ValueError):
    """A file that cannot be fetched; the message says why and what to do."""


class TrainingError(SegSRGANError, RuntimeError):
    """The training cannot go on; the message says why and what was kept."""


class MissingPackage(SegSRGANError, ImportError):
    """An optional package is not installed; the message says how to install it."""


class Cancelled(SegSRGANError):
    """The user asked to stop; nothing half-written is left behind."""
