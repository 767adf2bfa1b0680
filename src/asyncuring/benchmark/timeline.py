"""What happened in each second of a trial: ops of the clients, lag of the loops, the process.

What the process uses is read once a second: by the loops themselves, since a thread beside them
would have to win the GIL from them, or by a thread where the clients are threads. All else is
sorted into these seconds after the window is closed.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from asyncuring.benchmark.lag import lag_histogram
from asyncuring.benchmark.usage import UsageMeter
from asyncuring.benchmark.window import clock_ns

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterable, Sequence

    from asyncuring.benchmark.lag import LagProbe
    from asyncuring.benchmark.recording import Record
    from asyncuring.benchmark.usage import Usage

INTERVAL_NS = 1_000_000_000

SHORTEST_NS = 100_000_000
"""An interval at the end that is shorter is made part of the one before."""

COUNTERS = (
    "cpu_user_us",
    "cpu_system_us",
    "cpu_kernel_workers_us",
    "voluntary_switches",
    "involuntary_switches",
)


@dataclass(frozen=True)
class Reading:
    """What the process used until one moment."""

    at_ns: int
    usage: Usage


class Timeline:
    """Takes readings: when it is opened, once a second, and when it is closed."""

    def __init__(self) -> None:
        self._meter = UsageMeter()
        self._readings: list[Reading] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._next_ns = 0

    def open(self, *, by_thread: bool) -> None:
        """Take the first reading; those of each second a thread takes, or who calls `look`."""
        self._read()
        self._next_ns = self._readings[0].at_ns + INTERVAL_NS
        if by_thread:
            threading.Thread(target=self._look_each_second, daemon=True).start()

    def look(self) -> None:
        """Take a reading if a second has passed since the last one was due."""
        if not 0 < self._next_ns <= clock_ns():
            return
        with self._lock:
            if not self._closed.is_set() and self._next_ns <= clock_ns():
                self._read()
                passed = (self._readings[-1].at_ns - self._readings[0].at_ns) // INTERVAL_NS
                self._next_ns = self._readings[0].at_ns + (passed + 1) * INTERVAL_NS

    def close(self) -> None:
        """Take the last reading."""
        with self._lock:
            self._closed.set()
            self._read(is_last=True)
        self._meter.close()

    def record(
        self,
        opened_ns: int,
        completions_ns: Iterable[array[int]],
        ops_each: int,
        probes: Sequence[LagProbe],
    ) -> list[Record]:
        """Return the intervals, from the opening of the window on.

        ``completions_ns`` has an array for each of those that did one op after the other.
        """
        first, *later, last = self._readings
        kept = [reading for reading in later if last.at_ns - reading.at_ns >= SHORTEST_NS]
        readings = [Reading(opened_ns, first.usage), *kept, last]
        bounds_ns = [reading.at_ns for reading in readings]
        ops = _count_between(completions_ns, bounds_ns)
        return [
            {
                "start_s": (start.at_ns - opened_ns) / 1e9,
                "seconds": (end.at_ns - start.at_ns) / 1e9,
                "ops": count * ops_each,
                "lag_histogram": lag_histogram(probes, start.at_ns, end.at_ns) if probes else None,
                **_used(start.usage, end.usage),
            }
            for (start, end), count in zip(pairwise(readings), ops, strict=True)
        ]

    def _read(self, *, is_last: bool = False) -> None:
        self._readings.append(Reading(clock_ns(), self._meter.read(is_last=is_last)))

    def _look_each_second(self) -> None:
        while not self._closed.wait((self._next_ns - clock_ns()) / 1e9):
            self.look()


def _count_between(arrays_ns: Iterable[array[int]], bounds_ns: Sequence[int]) -> list[int]:
    """Return how many of all arrays, each of them sorted, are between each two bounds."""
    counts = [0] * (len(bounds_ns) - 1)
    for each in arrays_ns:
        places = [bisect_left(each, bound) for bound in bounds_ns]
        for interval, (start, end) in enumerate(pairwise(places)):
            counts[interval] += end - start
    return counts


def _used(start: Usage, end: Usage) -> Record:
    """Return what was used from one reading to the next, and the memory at the end."""
    before, after = asdict(start), asdict(end)
    for name in COUNTERS:
        if after[name] is not None:
            after[name] -= before[name]
    return after
