"""What a process has: memory, descriptors, threads."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

__all__ = ["State", "state"]


_LIBC = ctypes.CDLL(None)


class State(NamedTuple):
    """Resident memory in KiB, and how many descriptors and threads."""

    rss_kib: int
    fds: int
    threads: int


def state() -> State:
    """Return what this process has now.

    What the allocator keeps of freed memory is given back first (glibc's malloc_trim(3)): how much
    that is depends on which thread's arena had the last of it, and is up and down by a third.
    """
    gc.collect()
    if hasattr(_LIBC, "malloc_trim"):
        _LIBC.malloc_trim(0)
    status = Path("/proc/self/status").read_text()
    rss = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
    return State(int(rss), sum(1 for _ in Path("/proc/self/fd").iterdir()), _threads())


def _threads() -> int:
    """Not the kernel's own workers for a ring: it keeps them for a while."""
    count = 0
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # gone in between
            count += not (task / "comm").read_text().startswith("iou-")
    return count
