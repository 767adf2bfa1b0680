"""What this process has of the system's: what was begun has to be back to it."""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import asyncuring
from tests.conftest import descriptors

# In each look what is left over from a loop that is gone comes one step further; what an op of such
# a loop held is garbage then, and may hold a file.
LOOKS_MAX = 2000


class Belongings(NamedTuple):
    """Open descriptors, and how many threads without the kernel's own workers for a ring."""

    descriptors: frozenset[str]
    threads: int

    @classmethod
    def of_now(cls) -> Belongings:
        names = []
        for task in Path("/proc/self/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):  # gone in between
                names.append((task / "comm").read_text())
        count = sum(not name.startswith("iou-") for name in names)
        return cls(frozenset(descriptors()), count)


def check_nothing_is_left(before: Belongings) -> None:
    """Every driver stops, perhaps after what destructors left; then all is as it was."""
    for _ in range(LOOKS_MAX):
        if asyncuring.statistics().drivers == ():
            break
        gc.collect()
    assert asyncuring.statistics().drivers == ()
    # A thread that was joined may be listed for a moment.
    assert any(Belongings.of_now() == before for _ in range(1000)), (before, Belongings.of_now())


def resident() -> int:
    """Bytes of memory, when all that can be given back is given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
