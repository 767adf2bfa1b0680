"""Counting ops in Python, as tally.c does, for ports that are not the core's."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from asyncuring._histogram import Histogram
from asyncuring._op import OPCODE_MASK, Opcode

from . import SlowOp
from .native import BOUNDS, slow_limit
from .tallies import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncuring._op import Op

__all__ = ["Counting", "Entry"]

# Where in an op's origin the class stands: boundary.h.
_CLASS_SHIFT = 59
_ERRNOS = 134  # ASYNCURING_ERRNOS
_TRANSFERS = {
    *(Opcode.READ, Opcode.WRITE, Opcode.READV, Opcode.WRITEV),
    *(Opcode.COPY_RANGE, Opcode.CHAIN),
}


class Entry(NamedTuple):
    """What is known of an op when it begins: its row, and when, in seconds."""

    row: _Row
    begun: float
    backlog: float


class _Row:
    """What was counted of one opcode in one class."""

    def __init__(self, opcode: int) -> None:
        self.transfers = opcode in _TRANSFERS
        self.begun = self.done = self.bytes = 0
        self.errors = Counter[int]()
        self.buckets = tuple(Counter[int]() for _ in ("backlog", "kernel", "loop"))
        self.seconds = [0.0, 0.0, 0.0]

    def tally(self) -> Tally:
        backlog, kernel, loop = (
            Histogram(BOUNDS, tuple(map(counts.__getitem__, range(len(BOUNDS)))), seconds)
            for counts, seconds in zip(self.buckets, self.seconds)  # noqa: B905  three of each
        )
        errors = dict(self.errors)
        return Tally(self.begun, self.done, self.bytes, errors, backlog, kernel, loop)


class Counting:
    """What the ports of one driver have counted; each row has one writer at a time, or the GIL."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._rows: dict[tuple[int, int], _Row] = {}

    def begin(self, op: Op, now: float) -> Entry:
        """Count an op that begins. now: by the clock of its loop."""
        opcode, origin = op[3] & OPCODE_MASK, op[8]
        key = origin >> _CLASS_SHIFT, opcode
        row = self._rows.get(key) or self._rows.setdefault(key, _Row(opcode))
        row.begun += 1
        since = origin & ((1 << _CLASS_SHIFT) - 1)
        waited = time.clock_gettime_ns(time.CLOCK_MONOTONIC) - since if since else 0
        return Entry(row, now, max(0, waited) / 1e9)

    def end(self, token: int, result: int, entry: Entry, done: float, now: float) -> SlowOp | None:
        """Count an op that was done at `done` and is reaped; returns it if it was a slow one."""
        row = entry.row
        row.done += 1
        if result < 0:
            row.errors[-result if -result < _ERRNOS else 0] += 1
        elif row.transfers:
            row.bytes += result
        parts = (entry.backlog, max(0.0, done - entry.begun), max(0.0, now - done))
        for index, seconds in enumerate(parts):
            row.buckets[index][bisect_right(BOUNDS, seconds)] += 1
            row.seconds[index] += seconds
        limit = slow_limit()
        return SlowOp(token, *parts) if limit and sum(parts) * 1e9 >= limit else None

    def tallies(self, classes: int, opcodes: Sequence[int]) -> dict[tuple[int, int], Tally]:
        """See `Driver.tallies`."""
        return {
            (io_class, opcode): self._rows[io_class, opcode].tally()
            for opcode in opcodes
            for io_class in range(classes)
            if (io_class, opcode) in self._rows
        }
