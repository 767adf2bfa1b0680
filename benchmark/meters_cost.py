"""What the benchmark's meters cost: trials with them and trials without, in turns.

Usage: python benchmark/meters_cost.py ENGINE LOOP CLIENTS [ROUNDS]. A round has a short trial of
each kind, in random order, because a machine is never the same for long. So that readings are in
each, they are taken eight times a second instead of once. Printed are medians over the rounds of
the ratios to a trial without meters, and quartiles. Like of like says how far to believe them.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from asyncuring.benchmark import dataset, execution, timeline
from asyncuring.benchmark.meters import Meters
from asyncuring.benchmark.trial import Trial

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterable

    from asyncuring.benchmark.loops import Loop
    from asyncuring.benchmark.recording import Record

BLOCK = 8192
FILE_SIZE = 16 << 20
TRIAL_S = 0.25
INTERVAL_NS = 125_000_000
ROUNDS = 60


class WithoutMeters(Meters):
    """Measures nothing."""

    def open(self) -> None:
        """Do nothing."""

    def probing(self, _loop: Loop) -> AbstractAsyncContextManager[None]:
        """Set no timers."""
        return nullcontext()

    def record(self, _opened_ns: int, _completions_ns: Iterable[array[int]]) -> Record:
        """Return nothing."""
        return {}


def measure(trial: Trial, meters: type[Meters]) -> tuple[float, float]:
    """Run the trial: ops/s, and microseconds of CPU per op."""
    # The place from which a trial takes them.
    vars(execution)["Meters"] = meters
    record = execution.execute(trial)
    ops = sum(client["ops"] for client in record["clients"])
    return ops / record["seconds"], record["cpu_us"] / ops


def compare(trial: Trial, rounds: int) -> None:
    """Print the ratios of trials with the meters, and of others without, to those without."""
    timeline.INTERVAL_NS = INTERVAL_NS
    kinds = {"with": Meters, "without": WithoutMeters, "without, again": WithoutMeters}
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    measure(trial, Meters)
    for _ in range(rounds):
        for name in random.sample(list(kinds), len(kinds)):
            measured[name].append(measure(trial, kinds[name]))
    for name in ("with", "without, again"):
        for column, what in enumerate(("ops/s", "CPU per op")):
            pairs = zip(measured[name], measured["without"], strict=True)
            ratios = [each[column] / plain[column] for each, plain in pairs]
            low, middle, high = statistics.quantiles(ratios, n=4)
            print(f"{what}, {name} / without: {middle:.4f} ({low:.4f} to {high:.4f})")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        path = Path(folder, "blocks")
        dataset.fill_file(path, FILE_SIZE, BLOCK, lambda _: None)
        compare(
            Trial(
                engine=sys.argv[1],
                loop=sys.argv[2],
                clients=int(sys.argv[3]),
                path=str(path),
                block_size=BLOCK,
                file_size=FILE_SIZE,
                direct=False,
                duration_s=TRIAL_S,
                ops_per_client=None,
                verify=False,
                seed=0,
                repeat=0,
            ),
            int(sys.argv[4]) if len(sys.argv) > 4 else ROUNDS,
        )
