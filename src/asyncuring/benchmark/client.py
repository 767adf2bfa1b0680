"""The client: one loop for every engine, an async and a sync twin.

The twins must stay equal but for ``await``. Between two ops they spend one reading of the
clock, one comparison and one append to an array; nothing is formatted, locked or written
until the window is closed.
"""

from __future__ import annotations

from array import array
from itertools import chain, repeat
from typing import TYPE_CHECKING, TypeVar

from asyncuring.benchmark.recording import client_record
from asyncuring.benchmark.window import clock_ns

if TYPE_CHECKING:
    import mmap
    import threading
    from collections.abc import Iterable

    from asyncuring.benchmark.recording import Record
    from asyncuring.benchmark.window import AsyncGate, Window
    from asyncuring.benchmark.workload import Op, Requests

Works = TypeVar("Works", "array[int]", "list[Requests]")


class Client:
    """One simulated client: its buffer, its offsets and, afterwards, its measurements."""

    def __init__(self, buf: mmap.mmap, offsets: array[int], ops: int | None) -> None:
        """Prepare for ``ops`` blocks (None: until the deadline), cycling over ``offsets``."""
        self._buf = buf
        self._rounds = rounds(offsets, ops)
        self._started_ns = 0
        self._completions_ns = array("q")

    async def run(self, op: Op, window: Window, gate: AsyncGate) -> None:
        """Warm up with one op, wait for the other clients, then work and take the time."""
        buf, expected = self._buf, len(self._buf)
        clock, append = clock_ns, self._completions_ns.append
        _refuse_short(await op(buf, 0), expected)
        await gate.pass_through()
        deadline_ns = window.deadline_ns
        self._started_ns = clock()
        for offsets in self._rounds:
            for off in offsets:
                count = await op(buf, off)
                now = clock()
                if now >= deadline_ns:
                    window.leave()
                    return
                append(now)
                if count != expected:
                    _refuse_short(count, expected)
        window.leave()

    def run_sync(self, op: Op, window: Window, gate: threading.Barrier) -> None:
        """Do as `run` does, in a thread of its own."""
        buf, expected = self._buf, len(self._buf)
        clock, append = clock_ns, self._completions_ns.append
        _refuse_short(op(buf, 0), expected)
        gate.wait()
        deadline_ns = window.deadline_ns
        self._started_ns = clock()
        for offsets in self._rounds:
            for off in offsets:
                count = op(buf, off)
                now = clock()
                if now >= deadline_ns:
                    window.leave()
                    return
                append(now)
                if count != expected:
                    _refuse_short(count, expected)
        window.leave()

    def record(self, window: Window) -> Record:
        """Return what this client measured."""
        return client_record(window.opened_ns, self._started_ns, self._completions_ns)


def _refuse_short(count: int, expected: int) -> None:
    if count != expected:
        raise OSError(f"an op carried {count} of {expected} bytes")


def rounds(works: Works, ops: int | None) -> Iterable[Works]:
    """Return what to go through to make so many ops of ``works``: offsets, or requests.

    Offsets are arrays, since a list's integers lie apart in memory: with hundreds of clients the
    CPU's cache would miss one per op.
    """
    if ops is None:
        return repeat(works)
    whole, rest = divmod(ops, len(works))
    return chain(repeat(works, whole), (works[:rest],))
