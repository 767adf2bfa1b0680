"""Each trial in a fresh process, engines in shuffled order, one record each."""

from __future__ import annotations

import ctypes
import json
import os
import random
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

from asyncuring.benchmark import execution
from asyncuring.benchmark.memory_limit import MemoryLimitError, memory_limit
from asyncuring.benchmark.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TextIO

    from asyncuring.benchmark.recording import Record

TRIAL_COMMAND = (sys.executable, "-m", "asyncuring.benchmark", "run-trial")

PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>."""

GRACE_S = 60
"""Start and analysis of a trial; beyond it and what follows the engine hangs."""

SLOWEST_BYTES_PER_S = 20 << 20
"""At which a disk reads the file, before the window and where it is verified afterwards."""

SLOWEST_OPS_PER_S = 1000

FIXED_WORK_S_MIN = 600
"""A few ops may be slow ones."""


def shuffled(trials: Iterable[Trial], seed: int) -> list[Trial]:
    """Return the trials in a random order within each repeat.

    A slow drift of the machine then meets every engine, and no engine always follows the same.
    """
    random_source = random.Random(seed)
    keyed = [(trial.repeat, random_source.random(), trial) for trial in trials]
    return [trial for *_, trial in sorted(keyed, key=lambda entry: entry[:2])]


def longest_s(trial: Trial) -> float:
    """Return after how many seconds a trial without a result is taken to hang."""
    around_s = GRACE_S + trial.file_size / SLOWEST_BYTES_PER_S
    if trial.duration_s is not None:
        return around_s + trial.duration_s
    assert trial.ops_per_client is not None
    ops = trial.ops_per_client * trial.clients
    thinking_s = trial.ops_per_client * trial.think_s
    return around_s + max(FIXED_WORK_S_MIN, ops / SLOWEST_OPS_PER_S) + thinking_s


def run_in_fresh_process(trial: Trial) -> Record:
    """Run one trial and return its record; a failure is a record with ``error`` set."""
    if trial.memory_limit is None:
        return _run(trial, TRIAL_COMMAND)
    try:
        with memory_limit(trial.memory_limit) as limited:
            record = _run(trial, limited.command(TRIAL_COMMAND))
            if record["error"] and limited.was_too_small:
                return _failed(trial, f"{trial.memory_limit} bytes of memory are too few for it")
    except MemoryLimitError as error:
        return _failed(trial, describe(error))
    return record


def _run(trial: Trial, command: Sequence[str]) -> Record:
    limit_s = longest_s(trial)
    # In a session of its own: Ctrl-C is for the sweep, which ends the trial with all it started.
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(trial.to_json(), timeout=limit_s)
        except subprocess.TimeoutExpired:
            _kill(process)
            return _failed(trial, f"no result after {limit_s:g} s")
        except BaseException:
            _kill(process)
            raise
    if process.returncode != 0:
        last_words = errors.strip().splitlines()[-1:]
        return _failed(trial, ": ".join([f"exit status {process.returncode}", *last_words]))
    try:
        record: Record = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError):
        # Something else than ours wrote there.
        return _failed(trial, "no record at the end of its output")
    return record


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill the trial and what it started, unless it ended meanwhile."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def run_from_json(source: TextIO, target: TextIO) -> None:
    """Be the fresh process: read a trial, run it, write its record as one line."""
    _end_with_parent()
    trial = Trial.from_json(source.read())
    try:
        measured = execution.execute(trial)
    except Exception as error:  # noqa: BLE001 - whatever an engine raises is its result
        record = _failed(trial, describe(error))
    else:
        record = {"kind": "trial", "trial": asdict(trial), "error": None, **measured}
    target.write(json.dumps(record) + "\n")


def describe(error: BaseException) -> str:
    """Return the error in one line; of a group the first member, which is the cause."""
    while getattr(error, "exceptions", None):
        error = error.exceptions[0]  # type: ignore[attr-defined]  # only groups have them
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _end_with_parent() -> None:
    """Have the kernel kill this process when the sweep is killed: nobody would take its record."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _failed(trial: Trial, error: str) -> Record:
    return {"kind": "trial", "trial": asdict(trial), "error": error}
