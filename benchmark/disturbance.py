"""What the rest of the machine did meanwhile: a shared one is never quiet for long."""

from __future__ import annotations

import os
import resource
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

STAT = Path("/proc/stat")

IDLE_FIELDS = (3, 4)
"""proc_stat(5): idle and iowait. Stolen time is busy: another machine had the core."""

GUEST_FIELDS = 8
"""From here on the fields count again what user and nice have."""


class Disturbance:
    """How busy the machine was with others, once the block is left."""

    percent = 0.0
    """Of all its cores; the children of this process are no others."""


@contextmanager
def watch() -> Iterator[Disturbance]:
    """Watch a block in which this process runs children to their end, and does little itself."""
    disturbance = Disturbance()
    started, busy_s, ours_s = time.monotonic(), _busy_s(), _ours_s()
    yield disturbance
    others_s = (_busy_s() - busy_s) - (_ours_s() - ours_s)
    available_s = (time.monotonic() - started) * (os.cpu_count() or 1)
    disturbance.percent = max(0.0, others_s / available_s * 100)


def _busy_s() -> float:
    """Return the seconds that all cores were busy, so far."""
    ticks = [int(field) for field in STAT.read_text().split("\n", 1)[0].split()[1:]]
    busy = sum(ticks[:GUEST_FIELDS]) - sum(ticks[field] for field in IDLE_FIELDS)
    return busy / os.sysconf("SC_CLK_TCK")


def _ours_s() -> float:
    """Return the CPU seconds of this process and of its children that have ended, so far."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
