"""How long a sweep still takes: what was planned, corrected by what trials took so far."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from asyncuring.benchmark.trial import Trial

OVERHEAD_S = 0.6
"""Start of a process, warming and analysis, until a trial was seen."""

MINUTE_S = 60
HOUR_S = 60 * MINUTE_S


class TimeLeft:
    """The trials to come, and what each is expected to take.

    A trial takes what its repeats took so far; without any, its duration and what the others took
    beyond theirs. One of fixed work takes as long as the others of fixed work did.
    """

    def __init__(
        self, trials: Sequence[Trial], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._to_come = Counter(map(_kind, trials))
        self._seen: dict[Trial, list[float]] = defaultdict(list)
        self._running: tuple[Trial, float] | None = None

    @contextmanager
    def of(self, trial: Trial) -> Iterator[None]:
        """Run one of the trials in here."""
        kind, started = _kind(trial), self._clock()
        self._to_come[kind] -= 1
        self._running = kind, started
        try:
            yield
        finally:
            self._running = None
        self._seen[kind].append(self._clock() - started)

    def seconds(self) -> float | None:
        """Return the time left; None while nothing is known of one of the trials to come."""
        expected = {kind: self._expected(kind) for kind, count in self._to_come.items() if count}
        left = 0.0
        if self._running is not None:
            kind, started = self._running
            whole = self._expected(kind)
            if whole is None:
                return None
            left += max(0.0, whole - (self._clock() - started))
        for kind, seconds in expected.items():
            if seconds is None:
                return None
            left += seconds * self._to_come[kind]
        return left

    def __str__(self) -> str:
        """Return, for example, ``about 2 min left``."""
        seconds = self.seconds()
        if seconds is None:
            return "time left unknown"
        if seconds < MINUTE_S:
            return f"about {seconds:.0f} s left"
        if seconds < HOUR_S:
            return f"about {seconds / MINUTE_S:.0f} min left"
        return f"about {seconds / HOUR_S:.1f} h left"

    def _expected(self, kind: Trial) -> float | None:
        if self._seen[kind]:
            return fmean(self._seen[kind])
        alike = [
            seconds - (seen.duration_s or 0)
            for seen, all_seconds in self._seen.items()
            for seconds in all_seconds
            if (seen.duration_s is None) == (kind.duration_s is None)
        ]
        if kind.duration_s is not None:
            return kind.duration_s + (fmean(alike) if alike else OVERHEAD_S)
        return fmean(alike) if alike else None


def _kind(trial: Trial) -> Trial:
    """Return what its repeats share."""
    return replace(trial, repeat=0)
