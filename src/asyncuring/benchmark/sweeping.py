"""Sweeps from start to end: check, fill the files, run what has no record yet, report."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from asyncuring.benchmark import files, terminal
from asyncuring.benchmark.host import host_record, mount_facts
from asyncuring.benchmark.limits import raise_limits
from asyncuring.benchmark.places import refuse_out, refuse_places
from asyncuring.benchmark.records import (
    RECORDS_FILE,
    append_record,
    begin_records,
    drop_torn_line,
    only_writer,
    read_records,
)
from asyncuring.benchmark.refusal import RefusalError
from asyncuring.benchmark.refusals import refuse
from asyncuring.benchmark.report import ARCHIVE_FILE, PAGE_FILE, TOTALS_FILE, write_report
from asyncuring.benchmark.report.harness import harness_costs
from asyncuring.benchmark.runner import run_in_fresh_process
from asyncuring.benchmark.sweep import KIND, Sweep
from asyncuring.benchmark.time_left import TimeLeft

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from asyncuring.benchmark.recording import Record
    from asyncuring.benchmark.trial import Trial

MIB = 1 << 20

MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs")

EXIT_FAILED_TRIAL = 1
EXIT_INTERRUPTED = 130

PROGRAM = ("python", "-m", "asyncuring.benchmark")

SAME_HOST = ("kernel", "machine", "cpu", "cpus", "python", "packages", "commit")
"""What must not change between the trials of one sweep."""


def run(sweeps: Sequence[Sweep], out: Path, command: list[str]) -> int:
    """Run all trials and report; an interruption still reports what was done."""
    if (out / RECORDS_FILE).exists():
        raise RefusalError(
            f"{out} already holds records; choose another --out, or go on with --resume {out}"
        )
    refuse_out(out)
    _refuse_all(sweeps)
    try:
        _make_folders(sweeps)
        out.mkdir(parents=True, exist_ok=True)
        host = host_record(Path(sweeps[0].directory), command)
        begin_records(out, [host, *(sweep.to_record() for sweep in sweeps)])
    except OSError as error:
        raise RefusalError(f"{error.filename}: {error.strerror}") from error
    return _work(sweeps, out, host, set())


def resume(out: Path, command: list[str]) -> int:
    """Run those trials of an interrupted sweep that have no record, and report all."""
    records = read_records(out)
    sweeps = [Sweep.from_record(record) for record in records if record["kind"] == KIND]
    if not sweeps:
        raise RefusalError(f"{out / RECORDS_FILE} does not say what was asked for")
    _refuse_all(sweeps)
    _make_folders(sweeps)
    host = host_record(Path(sweeps[0].directory), command)
    changed = [name for name in SAME_HOST if host[name] != records[0][name]]
    if changed:
        before, now = records[0][changed[0]], host[changed[0]]
        raise RefusalError(
            f"{out} was begun with {changed[0]} {before}, here it is {now}; begin a sweep anew"
        )
    done = {json.dumps(record["trial"]) for record in records if record["kind"] == "trial"}
    return _work(sweeps, out, host, done)


def fill(sweeps: Sequence[Sweep]) -> int:
    """Prepare the files of all trials, and measure nothing."""
    _refuse_all(sweeps)
    try:
        _make_folders(sweeps)
        _fill_files(sweeps)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    for path in sorted({path for sweep in sweeps for path in sweep.one_for_each_path()}):
        terminal.console.print(f"{path} is ready", soft_wrap=True)
    return 0


def show_report(out: Path) -> int:
    """Write the CSV files from the records, show the totals and say where all is."""
    records = read_records(out)
    summaries = write_report(out, records)
    terminal.show_totals([summary.totals for summary in summaries])
    terminal.show_harness(harness_costs(summaries))
    terminal.show_notes(records)
    terminal.console.print(
        f"{out}/: {PAGE_FILE}, {TOTALS_FILE} and other tables, plots/, {RECORDS_FILE}; all of it in"
        f" {ARCHIVE_FILE}",
        soft_wrap=True,
    )
    failed = any(record["kind"] == "trial" and record["error"] for record in records)
    return EXIT_FAILED_TRIAL if failed else 0


def _refuse_all(sweeps: Sequence[Sweep]) -> None:
    """Refuse what can be told to be wrong before anything is written."""
    for number, sweep in enumerate(sweeps, start=1):
        _refuse_one(sweep, f"sweep {number}: " if len(sweeps) > 1 else "")
    refuse_places(sweeps)
    for note in raise_limits(sweeps):
        terminal.show_note(note)


def _refuse_one(sweep: Sweep, where: str) -> None:
    try:
        refuse(sweep)
    except RefusalError as refusal:
        raise RefusalError(f"{where}{refusal}") from refusal


def _make_folders(sweeps: Iterable[Sweep]) -> None:
    for directory in {Path(sweep.directory) for sweep in sweeps}:
        directory.mkdir(parents=True, exist_ok=True)
        if mount_facts(directory)["file_system"] in MEMORY_FILE_SYSTEMS:
            terminal.show_note(f"{directory} is in memory; no disk is measured")


def _work(sweeps: Sequence[Sweep], out: Path, host: Record, done: set[str]) -> int:
    """Run the trials that are not done; what is done is reported, whatever ends it."""
    terminal.show_host(host)
    missing = [
        trial
        for trial in dict.fromkeys(trial for sweep in sweeps for trial in sweep.trials())
        if trial.to_json() not in done
    ]
    go_on = shlex.join([*PROGRAM, "--resume", str(out)])
    try:
        with only_writer(out):
            drop_torn_line(out)
            if missing:
                _fill_files(sweeps)
                _run_trials(missing, out)
    except KeyboardInterrupt:
        if any(record["kind"] == "trial" for record in read_records(out)):
            show_report(out)
        terminal.show_note(f"interrupted; what is done is kept, go on with: {go_on}")
        return EXIT_INTERRUPTED
    except OSError as error:
        # Of our own files; a trial's is in its record.
        raise RefusalError(
            f"{error.filename or out}: {error.strerror}; what is done is kept, go on with: {go_on}"
        ) from error
    return show_report(out)


def _fill_files(sweeps: Iterable[Sweep]) -> None:
    trials = {path: one for sweep in sweeps for path, one in sweep.one_for_each_path().items()}
    with terminal.progress_bar() as bar:
        total = sum(trial.file_size for trial in trials.values())
        step = bar.add_task("filling the files, or checking them (MiB)", total=total / MIB)
        for trial in trials.values():
            files.ensure(trial, lambda done: bar.advance(step, done / MIB))


def _run_trials(trials: Sequence[Trial], out: Path) -> None:
    left = TimeLeft(trials)
    terminal.show_note(f"{len(trials)} trials, {left}")
    with terminal.progress_bar(left) as bar:
        step = bar.add_task("", total=len(trials))
        for trial in trials:
            bar.update(step, description=f"{trial.engine}/{trial.loop}, {trial.clients} clients")
            with left.of(trial):
                append_record(out, run_in_fresh_process(trial))
            bar.advance(step)
