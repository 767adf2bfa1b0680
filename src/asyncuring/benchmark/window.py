"""The measured stretch of a trial: opened for all clients at once, closed once.

It knows nothing of engines and loops; a gate in front of it lets all clients in together.
"""

from __future__ import annotations

import resource
import sys
import threading
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from asyncuring.benchmark.meters import Meters

clock_ns = time.perf_counter_ns


class Event(Protocol):
    """What `asyncio.Event` and `trio.Event` share."""

    def set(self) -> None:
        """Let all waiters go on."""

    async def wait(self) -> object:
        """Return once `set` was called."""


class Window:
    """Clock and CPU meter of a trial. The CPU is that of the whole process, all threads.

    In fixed time it closes when the first client notices the deadline: the others are about
    to, and what a starving engine does afterwards is no part of the measurement. In fixed
    work it closes when the last client is done.
    """

    def __init__(self, clients: int, duration_s: float | None, meters: Meters) -> None:
        """Prepare a window for so many clients; without a duration the work is fixed."""
        self.opened_ns = 0
        self.closed_ns = 0
        self.deadline_ns = sys.maxsize
        self.cpu_us = 0.0
        self._duration_s = duration_s
        self._leaving = clients if duration_s is None else 1
        self._lock = threading.Lock()
        self.meters = meters

    def open(self) -> None:
        """Start all meters; from here on clients may read."""
        self.meters.open()
        self.cpu_us = -_cpu_us()
        self.opened_ns = clock_ns()
        if self._duration_s is not None:
            self.deadline_ns = self.opened_ns + int(self._duration_s * 1e9)

    def leave(self) -> None:
        """Say that one more client is done."""
        with self._lock:
            self._leaving -= 1
            if self._leaving == 0:
                self.closed_ns = clock_ns()
                self.cpu_us += _cpu_us()
                self.meters.close()

    @property
    def seconds(self) -> float:
        """How long ops were counted."""
        return self._duration_s or (self.closed_ns - self.opened_ns) / 1e9


class AsyncGate:
    """Holds the clients of one loop until the last of all loops' has arrived."""

    def __init__(self, barrier: threading.Barrier, clients: int, event: Event) -> None:
        """Prepare to hold so many clients back by means of ``event``.

        The barrier has one party for each loop, and opens the window.
        """
        self._barrier = barrier
        self._missing = clients
        self._event = event

    async def pass_through(self) -> None:
        """Wait for all others."""
        self._missing -= 1
        if self._missing == 0:
            # Blocks the loop, which has nothing else to do: all its clients are here.
            self._barrier.wait()
            self._event.set()
        await self._event.wait()


def _cpu_us() -> float:
    """Return user and system time of this process so far, io_uring's kernel workers included."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (usage.ru_utime + usage.ru_stime) * 1e6
