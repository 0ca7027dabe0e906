"""Memory of the CPU: keep freed blocks instead of giving them back to the system after every layer."""

from __future__ import annotations

import ctypes
import platform

# mallopt(3) of the GNU C library
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_PAD = 256 << 20  # bytes


def keep_freed_memory() -> None:
    """Make large tensors reuse memory whose pages are mapped already; on other systems than Linux with glibc, nothing.

    A training step allocates and frees gigabytes; fresh pages from the system are zeroed one by one, which costs more
    than many of the convolutions. The process keeps its largest amount of memory until it ends.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    for parameter, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1), (_TOP_PAD, _PAD)):
        library.mallopt(parameter, value)
