"""How much memory there is, and memory that stays with the process."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import torch

_UNKNOWN = 1 << 62  # when the system does not say: nothing is held back, and the out-of-memory ladder decides
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -2, -3, -4  # glibc's malloc.h


def available_memory(device: torch.device | str = "cpu") -> int:
    """Bytes that can still be allocated on a device, as far as the system says."""
    if torch.device(device).type == "cuda":
        reserved = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + reserved
    if sys.platform == "win32":
        return _available_on_windows()
    limits = [_meminfo(), _cgroup_limit()]
    known = [limit for limit in limits if limit is not None]
    if known:
        return min(known)
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:  # macOS: half of what is built in
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return _UNKNOWN


def _meminfo() -> int | None:
    path = Path("/proc/meminfo")
    if not path.exists():
        return None
    for line in path.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _cgroup_limit(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int | None:
    """What the control groups (version 2) of this process leave: a container's, or those of a cluster's job."""
    try:
        names = [line.removeprefix("0::/") for line in own.read_text().splitlines() if line.startswith("0::/")]
    except OSError:
        names = []
    group = root.joinpath(*names[:1])
    left = [_left_in(folder) for folder in (group, *group.parents) if folder.is_relative_to(root)]
    return min((size for size in left if size is not None), default=None)


def _left_in(group: Path) -> int | None:
    """What the limit of one control group leaves; None without a limit."""
    try:
        limit, used = (group / "memory.max").read_text().strip(), (group / "memory.current").read_text()
        if limit == "max":
            return None
        counted = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        # files that were read or written count as used, though the kernel drops them as soon as memory is needed
        return max(0, int(limit) - int(used) + int(counted.get("inactive_file", 0)))
    except (OSError, ValueError):
        return None


def _available_on_windows() -> int:
    class Status(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong)] + [
            (name, ctypes.c_ulonglong) for name in ("total", "free", "page", "page_free", "virtual", "v_free", "ext")
        ]

    status = Status(length=ctypes.sizeof(Status))
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # ty: ignore[missing-attribute]  # on Windows
    return int(status.free) or _UNKNOWN


@contextmanager
def kept_heap() -> Generator[None]:
    """Inside the block, freed memory stays with the process; after the outermost block the defaults hold again.

    A step of training or a large patch allocates and frees gigabytes. Fetching them again costs a page fault every
    4 kB, up to half of a large patch's time. Only glibc (Linux) can be told; elsewhere nothing happens. Blocks may lie
    within each other and in several threads.
    """
    library = _glibc()
    if library is None:
        yield
        return
    _open_blocks.enter(library)
    try:
        yield
    finally:
        _open_blocks.leave(library)


def return_freed_memory() -> None:
    """Give freed memory back to the system; on other systems than Linux with glibc, nothing."""
    if (library := _glibc()) is not None:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """The C library when it can be told how to treat freed memory."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None


class _OpenBlocks:
    """How many blocks of `kept_heap` are open. One setting serves all, so only the last one undoes it."""

    def __init__(self) -> None:
        self._count, self._lock = 0, threading.Lock()

    def enter(self, library: ctypes.CDLL) -> None:
        """Serve every request from the heap, never give it back, and let it grow by 64 MiB at a time."""
        with self._lock:
            self._count += 1
            if self._count == 1:
                for parameter, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, -1), (_M_TOP_PAD, 64 << 20)):
                    library.mallopt(parameter, value)

    def leave(self, library: ctypes.CDLL) -> None:
        """After the last block glibc's defaults hold, and what is free goes back to the system."""
        with self._lock:
            self._count -= 1
            if self._count == 0:
                library.mallopt(_M_MMAP_MAX, 65536)
                library.mallopt(_M_MMAP_THRESHOLD, 128 << 10)
                library.mallopt(_M_TRIM_THRESHOLD, 128 << 10)
                library.mallopt(_M_TOP_PAD, 128 << 10)
                library.malloc_trim(0)


_open_blocks = _OpenBlocks()
