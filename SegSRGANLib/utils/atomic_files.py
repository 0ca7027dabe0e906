"""Files that appear whole or not at all: made under a temporary name, flushed to disk, then renamed."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import VolumeError

_PARTIAL = re.compile(r"\.partial-(?:([0-9a-f]{6})-(\d+)-)?[0-9a-f]{8}.*")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, the user's share of it, or the largest file
_OLD = 24 * 3600.0  # s: no file takes longer to write, wherever the process that began it ran


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
    temporary = path.with_name(_partial_name("".join(path.suffixes)))
    try:
        with explained(path):
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
def staging_folder(parent: Path) -> Generator[Path]:
    """Give an empty folder inside of `parent`, which is made if missing; at the end it is removed with what it holds.

    What killed processes left there before is removed, too.

    Raises:
        VolumeError: the folder cannot be created or written, or the disk is full.
    """
    folder = parent / _partial_name()
    try:
        with named_as(folder, parent), explained(parent):
            parent.mkdir(parents=True, exist_ok=True)
            sweep_partial(parent)
            folder.mkdir()
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep_partial(folder: Path) -> None:
    """Remove the temporary files and folders that killed processes left in a folder.

    Those of a process of this machine go when it is dead; those of another one, which nobody here can ask, after a day.
    """
    for path in folder.glob(".partial-*") if folder.is_dir() else ():
        name = _PARTIAL.fullmatch(path.name)
        with suppress(OSError):
            old = time.time() - path.stat().st_mtime > _OLD
            dead = name is not None and name[1] == _here() and not _alive(int(name[2]))
            if name is not None and (dead or old):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _partial_name(suffixes: str = "") -> str:
    """A hidden name that nobody else has, and that says which process made it."""
    return f".partial-{_here()}-{os.getpid()}-{secrets.token_hex(4)}{suffixes}"


def _here() -> str:
    """Six digits for this machine, or this container on it: where a process number means one process."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return hashlib.sha256(f"{socket.gethostname()} {space}".encode()).hexdigest()[:6]


def _alive(process: int) -> bool:
    """Whether a process of this machine runs; unknown is yes. Windows has no harmless way to ask."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OverflowError:
        return False
    except OSError:
        pass
    return True


@contextmanager
def named_as(staging: Path, folder: Path) -> Generator[None]:
    """Have errors name `folder`, which the user asked for, and not the place where its files are made first."""
    try:
        yield
    except VolumeError as error:
        raise VolumeError(str(error).replace(str(staging), str(folder))) from error


@contextmanager
def explained(path: Path) -> Generator[None]:
    """Turn errors of the system into the sentence for the user."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            raise VolumeError(no_room(path, reason)) from error
        raise VolumeError(
            f"{path} cannot be written ({reason}): choose a folder that is writable and has free space."
        ) from error


def no_room(path: Path, reason: str, needed: int | None = None) -> str:
    """The sentence for a file that did not find room.

    Args:
        path: of the file, as the user knows it.
        reason: the system's.
        needed: bytes at most, where that is known.
    """
    space = f"{megabytes(free)} free" if (free := free_bytes(path)) is not None else "free space unknown"
    space += "" if needed is None else f", up to {megabytes(needed)} needed"
    return f"{path} cannot be written ({reason}; {space}): make room there, or choose a folder on another disk."


def free_bytes(path: Path) -> int | None:
    """What is free where a file is or will be; None where the system does not say."""
    for folder in path.absolute().parents:
        with suppress(OSError):
            return shutil.disk_usage(folder).free
    return None


def megabytes(count: int) -> str:
    """A number of bytes for a person."""
    return f"{count / 1e6:.1f} MB" if count < 1e8 else f"{count / 1e9:.1f} GB"


def flush(path: Path) -> None:
    """Have the system put a file, or all in a folder, on the disk: no power cut can leave a renamed, empty file."""
    if path.is_dir():
        for inside in path.iterdir():
            flush(inside)
        flush_folder(path)
        return
    with path.open("r+b") as stream:
        os.fsync(stream.fileno())


def flush_folder(folder: Path) -> None:
    """Put a folder's names on the disk; only POSIX systems open folders, and some network shares refuse: not fatal."""
    if os.name != "posix":
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
