"""A sweep: each trial in a fresh process, engines in shuffled order, one record each."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from asyncuring.benchmark import execution
from asyncuring.benchmark.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

    from asyncuring.benchmark.recording import Record

TRIAL_COMMAND = (sys.executable, "-m", "asyncuring.benchmark", "run-trial")

FIXED_TIME_GRACE_S = 60
"""Start, warming and analysis of a trial; beyond it the engine hangs."""

FIXED_WORK_LIMIT_S = 600


def shuffled(trials: Iterable[Trial], seed: int) -> list[Trial]:
    """Return the trials in a random order within each repeat.

    A slow drift of the machine then meets every engine, and no engine always follows the same.
    """
    random_source = random.Random(seed)
    keyed = [(trial.repeat, random_source.random(), trial) for trial in trials]
    return [trial for *_, trial in sorted(keyed, key=lambda entry: entry[:2])]


def run_in_fresh_process(trial: Trial) -> Record:
    """Run one trial and return its record; a failure is a record with ``error`` set."""
    limit_s = (
        FIXED_WORK_LIMIT_S if trial.duration_s is None else trial.duration_s + FIXED_TIME_GRACE_S
    )
    try:
        finished = subprocess.run(
            TRIAL_COMMAND,
            input=trial.to_json(),
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _failed(trial, f"no result after {limit_s:g} s")
    if finished.returncode != 0:
        last_words = finished.stderr.strip().splitlines()[-1:]
        return _failed(trial, ": ".join([f"exit status {finished.returncode}", *last_words]))
    try:
        record: Record = json.loads(finished.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        # Something else than ours wrote there.
        return _failed(trial, "no record at the end of its output")
    return record


def run_from_json(source: TextIO, target: TextIO) -> None:
    """Be the fresh process: read a trial, run it, write its record as one line."""
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


def _failed(trial: Trial, error: str) -> Record:
    return {"kind": "trial", "trial": asdict(trial), "error": error}
