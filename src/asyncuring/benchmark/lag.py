"""How late an event loop is: what somebody else on the same loop feels of an engine.

A timer of 1 ms is set again and again, and how long after its moment it fires is recorded. It is
not always set, because a loop with timers looks at them in each of its rounds: with one client of
the engine `null` on asyncio that alone would cost 2.5 %.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import time
from array import array
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from asyncuring.benchmark.recording import histogram_of
from asyncuring.benchmark.window import clock_ns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

TIMER_NS = 1_000_000
"""What is timed."""

PERIOD_NS = 25_000_000
"""How often. A tenth of a millisecond of Python each time on trio, so 0.4 %; less on the others."""

ITIMERSPEC = struct.Struct("@llll")
"""Seconds and nanoseconds from one expiry to the next, and to the first."""


class LagProbe:
    """The timers of one loop: when each was due and how late it fired."""

    def __init__(self, on_fire: Callable[[], object] = lambda: None) -> None:
        """Prepare to call ``on_fire`` as well where a timer fires."""
        self._on_fire = on_fire
        self._due_ns = array("q")
        self._late_ns = array("q")
        self._pending_ns: int | None = None

    @property
    def is_set(self) -> bool:
        """Whether a timer is waited for."""
        return self._pending_ns is not None

    def set(self) -> None:
        """Say that a timer of `TIMER_NS` is being set."""
        self._pending_ns = clock_ns() + TIMER_NS

    def fire(self) -> None:
        """Say that it has fired."""
        if self._pending_ns is None:
            return
        late_ns = clock_ns() - self._pending_ns
        self._due_ns.append(self._pending_ns)
        # uvloop counts in milliseconds, and may be early.
        self._late_ns.append(max(0, late_ns))
        self._pending_ns = None
        self._on_fire()

    def end(self) -> None:
        """Say that nobody waits for it any longer: if it is overdue it is at least so late."""
        if self._pending_ns is not None and clock_ns() > self._pending_ns:
            self.fire()

    def late_ns(self, start_ns: int, end_ns: int) -> Iterable[int]:
        """Return how late those were that were due in ``[start_ns, end_ns)``."""
        pairs = zip(self._due_ns, self._late_ns, strict=True)
        return (late_ns for due_ns, late_ns in pairs if start_ns <= due_ns < end_ns)


def lag_histogram(probes: Iterable[LagProbe], start_ns: int, end_ns: int) -> list[int]:
    """Return the histogram of what was due in the interval on any of the loops."""
    return histogram_of(Counter(ns for probe in probes for ns in probe.late_ns(start_ns, end_ns)))


@asynccontextmanager
async def probing_asyncio(probe: LagProbe) -> AsyncIterator[None]:
    """Set timers on the running loop, asyncio's or uvloop's, while the block runs."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle | None = None

    def beat() -> None:
        nonlocal timer
        os.read(fd, 8)
        if timer is None:
            probe.set()
            timer = loop.call_later(TIMER_NS / 1e9, fire)

    def fire() -> None:
        nonlocal timer
        timer = None
        probe.fire()

    with _metronome() as fd:
        loop.add_reader(fd, beat)
        try:
            yield
        finally:
            loop.remove_reader(fd)
            if timer is not None:
                timer.cancel()
            probe.end()


@asynccontextmanager
async def probing_by_timers(probe: LagProbe) -> AsyncIterator[None]:
    """Do as `probing_asyncio` on a loop that watches no descriptors, so that one is always set."""
    loop = asyncio.get_running_loop()

    async def beat() -> None:
        while True:
            probe.set()
            await asyncio.sleep(TIMER_NS / 1e9)
            probe.fire()
            await asyncio.sleep((PERIOD_NS - TIMER_NS) / 1e9)

    beating = loop.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        probe.end()


@asynccontextmanager
async def probing_trio(probe: LagProbe) -> AsyncIterator[None]:
    """Set timers on trio while the block runs."""
    import trio  # noqa: PLC0415 - optional
    from trio.lowlevel import (  # noqa: PLC0415
        Abort,
        checkpoint_if_cancelled,
        current_task,
        reschedule,
        spawn_system_task,
        wait_task_rescheduled,
    )

    ended = trio.Event()

    async def beat() -> None:
        def wake(_raise_cancel: object) -> Abort:
            # `trio.sleep` ends by raising and catching, which costs as much as ten reads.
            reschedule(task)
            return Abort.FAILED

        async def sleep(ns: int) -> None:
            with trio.CancelScope(deadline=trio.current_time() + ns / 1e9):
                await wait_task_rescheduled(wake)
            await checkpoint_if_cancelled()

        task = current_task()
        with scope:
            while True:
                await sleep(PERIOD_NS - TIMER_NS)
                probe.set()
                await sleep(TIMER_NS)
                probe.fire()
        ended.set()

    scope = trio.CancelScope()
    # Not in a nursery: that would wrap what the block raises.
    spawn_system_task(beat)
    try:
        yield
    finally:
        scope.cancel()
        with trio.CancelScope(shield=True):
            await ended.wait()
        probe.end()


@contextmanager
def _metronome() -> Iterator[int]:
    """Yield a descriptor that is readable once per period, by no doing of the loop's."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    try:
        libc.timerfd_settime(fd, 0, ITIMERSPEC.pack(0, PERIOD_NS, 0, PERIOD_NS), None)
        yield fd
    finally:
        os.close(fd)
