"""One process a volume: a claim is a lock that the operating system takes back when its process ends, however it ends.

So a claim left by `kill -9` or a power cut is stale without any clock: nobody holds it, and the next process takes it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..utils.errors import VolumeError

_FOLDER = ".segsrgan"  # in the output folder, so that staged files can be renamed into place


class Claim:
    """The claim on one result: `staging` is a folder of its own, empty, on the disk of the output folder."""

    def __init__(self, outdir: Path, key: str) -> None:
        """Name the lock and the staging folder of a result; nothing is made yet."""
        short = hashlib.sha256(os.fsencode(key)).hexdigest()[:20]
        self.staging = outdir / _FOLDER / short
        self.lock = self.staging.with_suffix(".lock")

    @contextmanager
    def held(self) -> Generator[bool]:
        """Try to take the claim, without waiting; what an earlier owner left in the staging folder is removed.

        Yields:
            Whether it is ours. At the end of the block it is given back, and the staging folder removed.

        Raises:
            OSError: the folder cannot be written. VolumeError: its file system knows no locks.
        """
        descriptor = _locked_file(self.lock)
        if descriptor is None:
            yield False
            return
        try:
            shutil.rmtree(self.staging, ignore_errors=True)
            yield True
        finally:
            shutil.rmtree(self.staging, ignore_errors=True)
            with suppress(OSError):  # Windows does not remove open files; the sweep does it later
                self.lock.unlink()
            os.close(descriptor)


def sweep(outdir: Path) -> None:
    """Remove what dead processes left: locks that nobody holds, and their staging folders."""
    folder = outdir / _FOLDER
    for lock in sorted(folder.glob("*.lock")) if folder.is_dir() else []:
        claim = Claim(outdir, "")
        claim.lock, claim.staging = lock, lock.with_suffix("")
        with claim.held():
            pass
    with suppress(OSError):
        folder.rmdir()  # only when it is empty


def _locked_file(path: Path) -> int | None:
    """Open and lock a file; None when another process holds it."""
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # another process removed the empty folder in between
            continue
        try:
            locked = _try_lock(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise VolumeError(
                f"{path.parent} is on a file system that cannot lock files ({error.strerror}), which keeps processes "
                "apart: choose another output folder."
            ) from error
        if not locked:
            os.close(descriptor)
            return None
        # an owner removes its file before it lets go: a lock on a removed file is worth nothing
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"{socket.gethostname()} process {os.getpid()}\n".encode())
                return descriptor
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
