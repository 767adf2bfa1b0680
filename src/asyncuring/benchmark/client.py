"""The client: one loop for every engine, an async and a sync twin.

The twins must stay equal but for ``await``. Between two ops they spend one reading of the
clock, one comparison and one append to an array; nothing is formatted, locked or written
until the window is closed.
"""

from __future__ import annotations

from array import array
from itertools import chain, repeat
from typing import TYPE_CHECKING

from asyncuring.benchmark.recording import client_record
from asyncuring.benchmark.window import clock_ns

if TYPE_CHECKING:
    import mmap
    import threading
    from collections.abc import Awaitable, Callable, Iterable

    from asyncuring.benchmark.recording import Record
    from asyncuring.benchmark.window import AsyncGate, Window

    AsyncReadAt = Callable[[mmap.mmap, int], Awaitable[int]]
    SyncReadAt = Callable[[mmap.mmap, int], int]
    """Read one block at a byte offset into the client's buffer; return the count of bytes."""


class Client:
    """One simulated client: its buffer, its offsets and, afterwards, its measurements."""

    def __init__(self, buf: mmap.mmap, offsets: array[int], ops: int | None) -> None:
        """Prepare to read ``ops`` blocks (None: until the deadline), cycling over ``offsets``."""
        self._buf = buf
        self._rounds = _rounds(offsets, ops)
        self._started_ns = 0
        self._completions_ns = array("q")

    async def run(self, read_at: AsyncReadAt, window: Window, gate: AsyncGate) -> None:
        """Warm up with one op, wait for the other clients, then read and take the time."""
        buf, expected = self._buf, len(self._buf)
        clock, append = clock_ns, self._completions_ns.append
        _refuse_short_read(await read_at(buf, 0), expected)
        await gate.pass_through()
        deadline_ns = window.deadline_ns
        self._started_ns = clock()
        for offsets in self._rounds:
            for off in offsets:
                count = await read_at(buf, off)
                now = clock()
                if now >= deadline_ns:
                    window.leave()
                    return
                append(now)
                if count != expected:
                    _refuse_short_read(count, expected)
        window.leave()

    def run_sync(self, read_at: SyncReadAt, window: Window, gate: threading.Barrier) -> None:
        """Do as `run` does, in a thread of its own."""
        buf, expected = self._buf, len(self._buf)
        clock, append = clock_ns, self._completions_ns.append
        _refuse_short_read(read_at(buf, 0), expected)
        gate.wait()
        deadline_ns = window.deadline_ns
        self._started_ns = clock()
        for offsets in self._rounds:
            for off in offsets:
                count = read_at(buf, off)
                now = clock()
                if now >= deadline_ns:
                    window.leave()
                    return
                append(now)
                if count != expected:
                    _refuse_short_read(count, expected)
        window.leave()

    def record(self, window: Window) -> Record:
        """Return what this client measured."""
        return client_record(window.opened_ns, self._started_ns, self._completions_ns)


def _refuse_short_read(count: int, expected: int) -> None:
    if count != expected:
        raise OSError(f"an op read {count} of {expected} bytes")


def _rounds(offsets: array[int], ops: int | None) -> Iterable[array[int]]:
    """Return what to go through to make so many ops of ``offsets``.

    Arrays, since a list's integers lie apart in memory: with hundreds of clients the CPU's cache
    would miss one per op.
    """
    if ops is None:
        return repeat(offsets)
    whole, rest = divmod(ops, len(offsets))
    return chain(repeat(offsets, whole), (offsets[:rest],))
