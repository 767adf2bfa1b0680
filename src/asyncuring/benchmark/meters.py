"""All that is recorded of a trial besides what its clients count.

A traced trial has its system calls counted and nothing else, any other has all but these.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from asyncuring.benchmark.disk import disk_counters, disk_record
from asyncuring.benchmark.lag import LagProbe
from asyncuring.benchmark.system_calls import SystemCalls
from asyncuring.benchmark.timeline import Timeline

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterable
    from contextlib import AbstractAsyncContextManager

    from asyncuring.benchmark.disk import DiskCounters
    from asyncuring.benchmark.loops import Loop
    from asyncuring.benchmark.recording import Record
    from asyncuring.benchmark.trial import Trial


class Meters:
    """Opened when the clients start, and closed when they end."""

    def __init__(self, trial: Trial) -> None:
        self._path = Path(trial.path)
        self._ops_each = trial.batch
        self._timeline = None if trial.traced else Timeline()
        self._system_calls = SystemCalls() if trial.traced else None
        self._probes: list[LagProbe] = []
        self._disk_before: DiskCounters | None = None
        self._disk_after: DiskCounters | None = None
        self._is_open = False

    def probing(self, loop: Loop) -> AbstractAsyncContextManager[None]:
        """Return the block in which the running loop is asked how late it is."""
        if self._timeline is None:
            return nullcontext()
        self._probes.append(LagProbe(self._timeline.look))
        return loop.probing(self._probes[-1])

    def open(self) -> None:
        """Begin."""
        self._is_open = True
        self._disk_before = disk_counters(self._path)
        if self._timeline is not None:
            self._timeline.open(by_thread=not self._probes)
        if self._system_calls is not None:
            self._system_calls.open()

    def close(self) -> None:
        """End, if they are open."""
        if not self._is_open:
            return
        self._is_open = False
        if self._system_calls is not None:
            self._system_calls.close()
        if self._timeline is not None:
            self._timeline.close()
        self._disk_after = disk_counters(self._path)

    def record(self, opened_ns: int, completions_ns: Iterable[array[int]]) -> Record:
        """Return what was measured beside clients that completed something at these times."""
        return self._record(
            []
            if self._timeline is None
            else self._timeline.record(opened_ns, completions_ns, self._ops_each, self._probes)
        )

    def record_elsewhere(self) -> Record:
        """Return what was measured beside clients in another process, where no timeline is."""
        return self._record([])

    def _record(self, timeline: list[Record]) -> Record:
        calls = self._system_calls
        return {
            "timeline": timeline,
            "disk": None if calls else disk_record(self._disk_before, self._disk_after),
            "system_calls": calls.record() if calls else None,
        }
