"""What the bars compare: one way of doing one kind of work, measured as often as it is asked."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from asyncuring.benchmark.report import figures_of
from asyncuring.benchmark.runner import run_in_fresh_process
from asyncuring.benchmark.trial import Trial
from asyncuring.benchmark.workload import READ, WRITE

RESIDENT_MIN = 0.99
"""Less of the file in the page cache, before or after, and a cached trial measured the disk."""

TRIES = 4
"""Of a trial that the page cache spoilt. The system may evict pages at any time."""

IDLE_PROGRAM = Path(__file__).with_name("idle.py")

Figures = dict[str, float | None]
"""Named as in totals.csv."""


class NotMeasuredError(Exception):
    """There is no figure; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What is the same for all contenders."""

    directory: Path
    file_size: int
    duration_s: float


@dataclass(frozen=True, kw_only=True)
class Work:
    """One engine doing one kind of work; the names are those of `Trial`."""

    engine: str
    loop: str
    clients: int
    loops: int = 1
    busy_thread: bool = False
    workload: str = READ
    batch: int = 1
    block_size: int = 8192
    direct: bool = False

    def path(self, surroundings: Surroundings) -> Path:
        """Return the file it needs: the one that the benchmark itself would take."""
        kind = "overwritten" if self.workload == WRITE else "blocks"
        return surroundings.directory / f"{kind}-{self.block_size}-{surroundings.file_size}"

    def measure(self, surroundings: Surroundings, repeat: int) -> Figures:
        """Run one trial in a fresh process; again if the page cache lost the file meanwhile."""
        trial = Trial(
            **asdict(self),
            path=str(self.path(surroundings)),
            file_size=surroundings.file_size,
            duration_s=surroundings.duration_s,
            ops_per_client=None,
            verify=False,
            seed=0,
            repeat=repeat,
        )
        for _ in range(TRIES):
            record = run_in_fresh_process(trial)
            if record["error"] is not None:
                raise NotMeasuredError(record["error"])
            figures = figures_of(record)
            if self.direct or _resident(figures):
                return figures
        raise NotMeasuredError(f"the file did not stay in the page cache, in {TRIES} trials")


@dataclass(frozen=True, kw_only=True)
class Idle:
    """This library with an open file and nothing to do."""

    loop: str

    def measure(self, _surroundings: Surroundings, _repeat: int) -> Figures:
        """Return the CPU it takes, in percent of one core."""
        finished = subprocess.run(
            (sys.executable, str(IDLE_PROGRAM), self.loop),
            capture_output=True,
            text=True,
            check=False,
        )
        if finished.returncode != 0:
            raise NotMeasuredError(" ".join(finished.stderr.strip().splitlines()[-1:]))
        figures: Figures = json.loads(finished.stdout)
        return figures


def _resident(figures: Figures) -> bool:
    known = (figures["resident_before"], figures["resident_after"])
    return all(fraction is None or fraction >= RESIDENT_MIN for fraction in known)
