"""The client of the workload read-many: a batch of blocks per await.

It is the async loop of `client.py` but for what it passes and what it gets. The requests are
made before the window opens, as the other clients' offsets are.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from asyncuring.benchmark.client import rounds
from asyncuring.benchmark.recording import client_record
from asyncuring.benchmark.window import clock_ns

if TYPE_CHECKING:
    import mmap

    from asyncuring.benchmark.recording import Record
    from asyncuring.benchmark.window import AsyncGate, Window
    from asyncuring.benchmark.workload import Op, Requests


class ManyClient:
    """One simulated client: a buffer for each block of a batch, and its requests."""

    def __init__(self, buffers: list[mmap.mmap], offsets: array[int], ops: int | None) -> None:
        """Prepare for ``ops`` blocks (None: until the deadline), cycling over ``offsets``.

        What does not fill a batch is left out.
        """
        self._batch = len(buffers)
        self._expected = [len(buffer) for buffer in buffers]
        firsts = range(0, len(offsets) - self._batch + 1, self._batch)
        batches: list[Requests] = [
            list(zip(buffers, offsets[first : first + self._batch], strict=True))
            for first in firsts
        ]
        self._first = batches[0]
        self._rounds = rounds(batches, None if ops is None else ops // self._batch)
        self._started_ns = 0
        self._completions_ns = array("q")

    async def run(self, op: Op, window: Window, gate: AsyncGate) -> None:
        """Warm up with one batch, wait for the other clients, then work and take the time."""
        expected = self._expected
        clock, append = clock_ns, self._completions_ns.append
        _refuse_short(await op(None, self._first), expected)
        await gate.pass_through()
        deadline_ns = window.deadline_ns
        self._started_ns = clock()
        for batches in self._rounds:
            for requests in batches:
                results = await op(None, requests)
                now = clock()
                if now >= deadline_ns:
                    window.leave()
                    return
                append(now)
                if results != expected:
                    _refuse_short(results, expected)
        window.leave()

    def record(self, window: Window) -> Record:
        """Return what this client measured: its ops are blocks, its latencies are of batches."""
        record = client_record(window.opened_ns, self._started_ns, self._completions_ns)
        return record | {"ops": record["ops"] * self._batch}


def _refuse_short(results: list[object], expected: list[int]) -> None:
    if results == expected:
        return
    for result, count in zip(results, expected, strict=True):
        if isinstance(result, Exception):
            raise result
        if result != count:
            raise OSError(f"an op carried {result} of {count} bytes")
