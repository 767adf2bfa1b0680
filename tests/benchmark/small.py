"""A file and a command that are small enough for tests."""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

from asyncuring.benchmark import files as trial_files
from asyncuring.benchmark.options import add_options, completed, given_in
from asyncuring.benchmark.refusals import refuse
from asyncuring.benchmark.report.tables import TOTALS_FILE, tables_of
from asyncuring.benchmark.report.totals import summarise
from asyncuring.benchmark.runner import run_in_fresh_process
from asyncuring.benchmark.sweep import Sweep

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring.benchmark.recording import Record

BLOCK_SIZE = 8192
BLOCKS = 256

ENGINES_AND_LOOPS = [
    ("asyncuring", "asyncio"),
    ("asyncuring", "trio"),
    ("asyncuring-threads", "uvloop"),
    ("thread-pool", "asyncio"),
    ("thread-pool", "trio"),
    ("blocking", "none"),
]


def run_benchmark(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "asyncuring.benchmark", *map(str, arguments)),
        capture_output=True,
        text=True,
        check=False,
    )


class Swept:
    def __init__(self, out: Path, finished: subprocess.CompletedProcess[str]) -> None:
        self.out = out
        self.finished = finished

    def rows(self, name: str) -> list[dict[str, str]]:
        with (self.out / name).open(newline="") as file:
            return list(csv.DictReader(file))


class Measured(NamedTuple):
    records: list[Record]
    totals: list[dict[str, str]]


def measure(files: Path, options: str) -> Measured:
    """Do what the command does, but for the report, whose plots take longer than the trials."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    given = given_in(parser.parse_args([*options.split(), "--file-size=2MiB"]))
    asked = Sweep.from_options(completed(given), files)
    refuse(asked)
    trials = asked.trials()
    for trial in {trial.path: trial for trial in trials}.values():
        trial_files.ensure(trial, lambda _: None)
    records = [run_in_fresh_process(trial) for trial in trials]
    assert [record["error"] for record in records] == [None] * len(trials)
    totals = tables_of(records, summarise(records))[TOTALS_FILE]
    return Measured(
        # Of engines that keep account of each client.
        [record for record in records if record["trial"]["engine"] != "bare"],
        list(totals.dicts()),
    )
