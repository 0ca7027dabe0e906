"""Files and folders that appear whole or not at all: made under a temporary name, flushed to disk, then renamed."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import VolumeError


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Generator[Path]:
    """Give a temporary path to write to; it becomes `path` when the block ends well and is removed when it does not.

    The temporary path lies in the same folder (created when missing) and ends with the same suffixes, so that
    libraries that choose a format by the file's name write the right one. An existing `path` is replaced in one step.

    Args:
        path: the file to write: a volume, a JSON record, a picture.

    Yields:
        The temporary path, where nothing exists yet.

    Raises:
        VolumeError: the folder cannot be created or written, or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".partial-{secrets.token_hex(4)}{''.join(path.suffixes)}")
    try:
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise IsADirectoryError(0, "a folder has this name")
            yield temporary
            flush(temporary)
            os.replace(temporary, path)
            flush_folder(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Generator[Path]:
    """Give a temporary folder to fill; it becomes `path` when the block ends well and is removed when it does not.

    An existing folder `path` is replaced as a whole: it is renamed out of the way, and deleted when the new one stands
    in its place.

    Args:
        path: the folder to make.

    Yields:
        The temporary folder, which is empty.

    Raises:
        VolumeError: the folder cannot be created or written, or the disk is full.
    """
    path = Path(path)
    temporary, former = (path.with_name(f".partial-{secrets.token_hex(4)}") for _ in range(2))
    try:
        with _explained(path):
            temporary.mkdir(parents=True)
            yield temporary
            for inside in temporary.rglob("*"):
                (flush_folder if inside.is_dir() else flush)(inside)
            _replace_folder(temporary, path, former)
            flush_folder(path.parent)
    finally:
        for leftover in (temporary, former):
            shutil.rmtree(leftover, ignore_errors=True)


def _replace_folder(new: Path, path: Path, former: Path) -> None:
    """Put a folder into its place; what was there goes to `former`, or stays when that fails."""
    if not path.exists():
        os.replace(new, path)
        return
    if not path.is_dir():
        raise NotADirectoryError(0, "a file has this name")
    os.replace(path, former)
    try:
        os.replace(new, path)
    except OSError:
        os.replace(former, path)
        raise


@contextmanager
def _explained(path: Path) -> Generator[None]:
    """Turn errors of the system into the sentence for the user."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise VolumeError(
            f"{path} cannot be written ({reason}): choose a folder that is writable and has free space."
        ) from error


def flush(path: Path) -> None:
    """Have the system put a file's content on the disk, so that a power cut cannot leave a renamed, empty file."""
    with path.open("r+b") as stream:
        os.fsync(stream.fileno())


def flush_folder(folder: Path) -> None:
    """Have the system put a folder's new names on the disk; only POSIX systems open folders, and some network shares
    refuse: not fatal."""
    if os.name != "posix":
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
