"""Measure what the parts of one op cost, and compare with the baseline.

Usage: python -m benchmark.micro [--new-baseline]. The exit status says nothing of the verdict:
the ratios are for people, who know what else the machine was doing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from asyncuring.benchmark.host import host_record
from benchmark.micro.compare import SLOWER, compare, read_baseline, read_runs, table, write_baseline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BASELINE = HERE.parent / "results" / "microbench.json"

# Each in a process of its own: what varies most, varies from process to process.
RUNS = 5


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; pytest's status if it fails."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.micro")
    parser.add_argument(
        "--new-baseline", action="store_true", help=f"keep the ratios in {BASELINE.name}"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "build" / "microbench",
        metavar="DIR",
        help="where the runs are written; default: %(default)s",
    )
    options = parser.parse_args(arguments)
    out = options.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    runs = [out / f"run-{number}.json" for number in range(1, RUNS + 1)]
    for run in runs:
        command = (sys.executable, "-m", "pytest", HERE, "--benchmark-quiet", "--no-summary")
        finished = subprocess.run((*command, f"--benchmark-json={run}"), cwd=ROOT, check=False)
        if finished.returncode != 0:
            return finished.returncode
    ratios = read_runs(runs)
    host = host_record(out, ["benchmark.micro", *arguments])
    facts = {key: host[key] for key in ("python", "kernel", "cpu")}
    if options.new_baseline:
        write_baseline(BASELINE, facts, ratios)
    baseline = read_baseline(BASELINE)
    changes = compare(ratios, baseline["ratios"])
    print(f"\nCosts of one op, as ratios to the null await of {RUNS} runs; each in {out}")
    print(f"Here {_where(facts)}; the baseline {_where(baseline)}\n")
    print(table(changes))
    slower = sum(change.verdict == SLOWER for change in changes)
    print(f"\nSlower than the baseline by more than the noise: {slower or 'none'}")
    return 0


def _where(facts: Mapping[str, object]) -> str:
    return f"{facts['python']} on {facts['cpu']}, Linux {facts['kernel']}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
