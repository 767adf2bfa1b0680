"""System calls are counted in a pass of its own, by strace."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asyncuring.benchmark.records import read_records
from asyncuring.benchmark.refusal import RefusalError
from asyncuring.benchmark.runner import run_in_fresh_process
from asyncuring.benchmark.system_calls import SystemCalls, refuse_without_strace, traced
from tests.benchmark.small import BLOCK_SIZE, BLOCKS, run_benchmark

if TYPE_CHECKING:
    from asyncuring.benchmark.trial import Trial

REFUSED = """
from asyncuring.benchmark.records import read_records
from asyncuring.benchmark.refusal import RefusalError
from asyncuring.benchmark.system_calls import refuse_without_strace
try:
    refuse_without_strace()
except RefusalError as refusal:
    print(refusal)
"""


@pytest.fixture
def strace() -> str:
    try:
        refuse_without_strace()
    except RefusalError as refusal:
        pytest.skip(str(refusal))
    return "strace"


@pytest.mark.usefixtures("strace")
def test_calls_and_their_errors_are_counted_while_it_is_open() -> None:
    system_calls = SystemCalls()
    os.getppid()
    system_calls.open()
    for _ in range(100):
        os.getppid()
    for _ in range(10):
        Path("/proc/nothing").exists()
    system_calls.close()
    os.getppid()
    counts = system_calls.record()
    assert counts["getppid"] == {"calls": 100, "errors": 0}
    # The name of the call differs from one libc to another.
    assert 10 in [count["errors"] for count in counts.values()]


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize(
    ("engine", "loop"), [("blocking", "none"), ("thread-pool", "trio"), ("thread-pool", "asyncio")]
)
def test_a_traced_trial_has_its_own_calls_and_no_times(
    engine: str, loop: str, trial: Trial
) -> None:
    record = run_in_fresh_process(replace(trial, engine=engine, loop=loop, traced=True))
    assert record["error"] is None
    # Neither the op that warms up, nor what Python reads in order to start.
    assert record["system_calls"]["preadv2"] == {"calls": 40, "errors": 0}
    assert (record["timeline"], record["disk"]) == ([], None)


def test_a_trial_that_is_not_traced_counts_no_calls(trial: Trial) -> None:
    assert run_in_fresh_process(trial)["system_calls"] is None


def test_the_marked_pass_has_each_kind_of_trial_once(trial: Trial) -> None:
    timed = [
        replace(trial, repeat=repeat, clients=clients, ops_per_client=None, duration_s=1.5)
        for repeat in range(3)
        for clients in (1, 1000)
    ]
    passed = traced(timed)
    assert [(one.clients, one.ops_per_client, one.duration_s) for one in passed] == [
        (1, 4096, None),
        (1000, 16, None),
    ]
    assert all(one.traced and one.repeat == 0 for one in passed)


def test_the_marked_pass_does_whole_batches(trial: Trial) -> None:
    (passed,) = traced([replace(trial, workload="read-many", batch=48, clients=64)])
    assert passed.ops_per_client == 96


@pytest.mark.usefixtures("strace")
def test_a_process_that_is_traced_already_is_refused() -> None:
    finished = subprocess.run(
        ("strace", "-f", "-q", "-o", "/dev/null", sys.executable, "-c", REFUSED),
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout.startswith("--system-calls: ")
    assert "Operation not permitted" in finished.stdout


def test_a_missing_strace_is_refused() -> None:
    finished = subprocess.run(
        (sys.executable, "-c", REFUSED),
        env=os.environ | {"PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout.startswith("--system-calls: strace is not installed; install it with: ")


@pytest.mark.usefixtures("strace")
def test_a_sweep_ends_with_the_marked_pass(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    finished = run_benchmark(
        *("--system-calls", "--engines", "blocking", "--clients", 2, "--ops-per-client", 20),
        *("--file-size", BLOCKS * BLOCK_SIZE, "--dir", files, "--out", out, "--repeat", 2),
    )
    assert finished.returncode == 0, finished.stderr
    trials = [record for record in read_records(out) if record["kind"] == "trial"]
    assert [record["trial"]["traced"] for record in trials] == [False, False, True]
    assert trials[-1]["system_calls"]["preadv2"]["calls"] == 4096
    with (out / "totals.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["repeats"], row["ops"]) == ("2", "40")


def test_a_background_has_no_marked_pass(files: Path, tmp_path: Path) -> None:
    refused = run_benchmark(
        *("--system-calls", "--background", 8, "--engines", "null", "--dir", files),
        *("--out", tmp_path / "out"),
    )
    assert refused.returncode == 2
    assert "--system-calls has fixed work, but a --background never ends" in refused.stderr
