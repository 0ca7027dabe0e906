"""The formats of volumes, by the names of their files. Needs neither torch nor SimpleITK."""

from __future__ import annotations

VOLUME_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")  # those that are read
WRITTEN_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")


def volume_suffix(name: str, known: tuple[str, ...] = VOLUME_SUFFIXES) -> str:
    """The suffix that decides a file's format, in small letters; "" when it is none of the known ones."""
    return next((suffix for suffix in sorted(known, key=len, reverse=True) if name.lower().endswith(suffix)), "")


def volume_stem(name: str) -> str:
    """A file's or folder's name without the suffix of a volume."""
    return name[: len(name) - len(volume_suffix(name))] or name
