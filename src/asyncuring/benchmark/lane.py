"""The lane: one loop for every engine and workload, an async and a sync twin.

The twins must stay equal but for ``await``. Between two ops they spend one reading of the
clock, two comparisons and one append to an array; nothing is formatted, locked or written
until the window is closed.
"""

from __future__ import annotations

import errno
import time
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from asyncuring.benchmark.lane_times import LaneTimes
from asyncuring.benchmark.window import clock_ns

if TYPE_CHECKING:
    import mmap
    import threading
    from array import array
    from collections.abc import Awaitable, Callable, Iterable, Iterator

    from asyncuring.benchmark.window import AsyncGate, Window
    from asyncuring.benchmark.workload import Op

    Works = array[int] | list[Any]
    """What ops are asked for, one after the other. Offsets are arrays, since a list's integers
    lie apart in memory: with hundreds of clients the CPU's cache would miss one per op."""


class Lane:
    """One op after the other: a buffer, what to ask for and, afterwards, the times.

    A client has one, or as many as it has ops in flight.
    """

    def __init__(
        self,
        buf: mmap.mmap | None,
        works: Works,
        *,
        expected: object,
        ops: int | None,
        think_s: float = 0.0,
    ) -> None:
        """Prepare for ``ops`` ops (None: until the deadline), cycling over ``works``.

        ``expected`` is what an op returns that did all it was asked for.
        """
        self._buf = buf
        self._first = works[0]
        self._rounds = rounds(works, ops)
        self._expected = expected
        self._think_s = think_s
        self.times = LaneTimes()

    async def run(
        self,
        op: Op,
        window: Window,
        gate: AsyncGate,
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        """Warm up with one op, wait for the other lanes, then work and take the time."""
        buf, expected, times = self._buf, self._expected, self.times
        clock, append = clock_ns, times.completions_ns.append
        refuse_failed(await op(buf, self._first), expected)
        await gate.pass_through()
        deadline_ns = window.deadline_ns
        if self._think_s:
            op = self._thinking(op, deadline_ns, sleep)
        times.started_ns = clock()
        for works in self._rounds:
            for what in works:
                try:
                    result = await op(buf, what)
                except OSError as error:
                    result = error
                now = clock()
                if now >= deadline_ns:
                    window.leave()
                    return
                if result == expected:
                    append(now)
                else:
                    self._note_failure(result, now)
        window.leave()

    def run_sync(self, op: Op, window: Window, gate: threading.Barrier) -> None:
        """Do as `run` does, in a thread of its own."""
        buf, expected, times = self._buf, self._expected, self.times
        clock, append = clock_ns, times.completions_ns.append
        refuse_failed(op(buf, self._first), expected)
        gate.wait()
        deadline_ns = window.deadline_ns
        if self._think_s:
            op = self._thinking_sync(op, deadline_ns)
        times.started_ns = clock()
        for works in self._rounds:
            for what in works:
                try:
                    result = op(buf, what)
                except OSError as error:
                    result = error
                now = clock()
                if now >= deadline_ns:
                    window.leave()
                    return
                if result == expected:
                    append(now)
                else:
                    self._note_failure(result, now)
        window.leave()

    def _note_failure(self, result: object, now_ns: int) -> None:
        """Count what went wrong; the next op is asked for from here on."""
        self.times.errors.update(failures(result, self._expected))
        self.times.ask(now_ns)

    def _thinking(
        self, op: Op, deadline_ns: int, sleep: Callable[[float], Awaitable[object]]
    ) -> Op:
        """Return ``op`` behind a pause, which is no part of its latency."""

        async def think_and_do(buf: mmap.mmap, what: object) -> object:
            await sleep(self._pause_s(deadline_ns))
            self.times.ask(clock_ns())
            return await op(buf, what)

        return think_and_do

    def _thinking_sync(self, op: Op, deadline_ns: int) -> Op:
        def think_and_do(buf: mmap.mmap, what: object) -> object:
            time.sleep(self._pause_s(deadline_ns))
            self.times.ask(clock_ns())
            return op(buf, what)

        return think_and_do

    def _pause_s(self, deadline_ns: int) -> float:
        """Return how long to think: nobody who thinks keeps the window open."""
        return max(0.0, min(self._think_s, (deadline_ns - clock_ns()) / 1e9))


def rounds(works: Works, ops: int | None) -> Iterable[Works]:
    """Return what to go through to make so many ops of ``works``."""
    if ops is None:
        return repeat(works)
    whole, rest = divmod(ops, len(works))
    return chain(repeat(works, whole), (works[:rest],))


def failures(result: object, expected: object) -> Iterator[str]:
    """Name what went wrong with an op, or with each request of one that has many."""
    if isinstance(result, list) and isinstance(expected, list):
        for each, count in zip(result, expected, strict=True):
            yield from failures(each, count)
    elif isinstance(result, OSError):
        yield errno.errorcode.get(result.errno or 0, type(result).__name__)
    elif isinstance(result, Exception):
        raise result
    elif result != expected:
        yield "short"


def refuse_failed(result: object, expected: object) -> None:
    """Raise unless an op did all it was asked for."""
    if isinstance(result, list) and isinstance(expected, list):
        for each, count in zip(result, expected, strict=True):
            refuse_failed(each, count)
    elif isinstance(result, Exception):
        raise result
    elif result != expected:
        raise OSError(f"an op carried {result} of {expected} bytes")
