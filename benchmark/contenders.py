"""What the bars compare: one way of doing one kind of work, measured as often as it is asked."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from asyncuring.benchmark import files
from asyncuring.benchmark.report import figures_of
from asyncuring.benchmark.runner import run_in_fresh_process
from asyncuring.benchmark.trial import Trial
from asyncuring.benchmark.workload import READ, WORKLOADS
from benchmark.disturbance import watch

RESIDENT_MIN = 0.99
"""Less of the file in the page cache, before or after, and a cached trial measured the disk."""

TRIES = 4
"""Of a trial that the page cache spoilt: the system evicts pages at any time."""

TRIES_DISTURBED = 2
"""Of a trial that another program disturbed, which may go on for long."""

DISTURBANCE_MAX = 10
"""Percent of the machine that others may take during a trial."""

DISTURBED = "disturbance_percent"

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
    background: int = 0
    loops: int = 1
    busy_thread: bool = False
    workload: str = READ
    batch: int = 1
    block_size: int = 8192
    direct: bool = False

    def path(self, surroundings: Surroundings) -> Path:
        """Return the file it needs: the one that the benchmark itself would take."""
        return files.path_of(
            surroundings.directory,
            workload=self.workload,
            block_size=self.block_size,
            file_size=surroundings.file_size,
        )

    def measure(self, surroundings: Surroundings, repeat: int) -> Figures:
        """Run one trial in a fresh process; again if something spoilt it.

        One whose file left the page cache is worth nothing. Of those that others disturbed the
        least disturbed counts, where none was quiet.
        """
        trial = Trial(
            **asdict(self),
            read_share=WORKLOADS[self.workload].read_share,
            path=str(self.path(surroundings)),
            file_size=surroundings.file_size,
            duration_s=surroundings.duration_s,
            ops_per_client=None,
            verify=False,
            seed=0,
            repeat=repeat,
        )
        usable: list[Figures] = []
        for _ in range(TRIES):
            with watch() as disturbance:
                record = run_in_fresh_process(trial)
            if record["error"] is not None:
                raise NotMeasuredError(record["error"])
            figures = {**figures_of(record), DISTURBED: disturbance.percent}
            if not (self.direct or _resident(figures)):
                continue
            usable.append(figures)
            if disturbance.percent <= DISTURBANCE_MAX or len(usable) == TRIES_DISTURBED:
                break
        if not usable:
            raise NotMeasuredError(f"the file did not stay in the page cache, in {TRIES} trials")
        return min(usable, key=disturbance_of)


@dataclass(frozen=True, kw_only=True)
class Idle:
    """This library with an open file and nothing to do."""

    loop: str

    def measure(self, _surroundings: Surroundings, _repeat: int) -> Figures:
        """Return the CPU it takes, in percent of one core."""
        with watch() as disturbance:
            finished = subprocess.run(
                (sys.executable, str(IDLE_PROGRAM), self.loop),
                capture_output=True,
                text=True,
                check=False,
            )
        if finished.returncode != 0:
            raise NotMeasuredError(" ".join(finished.stderr.strip().splitlines()[-1:]))
        return {**json.loads(finished.stdout), DISTURBED: disturbance.percent}


def disturbance_of(figures: Figures) -> float:
    """Return how much of the machine others took, in percent."""
    return figures.get(DISTURBED) or 0.0


def _resident(figures: Figures) -> bool:
    known = (figures["resident_before"], figures["resident_after"])
    return all(fraction is None or fraction >= RESIDENT_MIN for fraction in known)
