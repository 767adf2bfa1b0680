"""A sweep from start to end: check, fill the file, run the trials, report, show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncuring.benchmark import dataset, terminal
from asyncuring.benchmark.engines import ENGINES
from asyncuring.benchmark.host import host_record, mount_facts
from asyncuring.benchmark.loops import NO_LOOP, refuse_missing_loop
from asyncuring.benchmark.records import (
    RECORDS_FILE,
    append_record,
    begin_records,
    read_records,
)
from asyncuring.benchmark.refusal import RefusalError
from asyncuring.benchmark.report import TOTALS_FILE, write_report
from asyncuring.benchmark.runner import run_in_fresh_process, shuffled
from asyncuring.benchmark.trial import Trial
from asyncuring.benchmark.workload import READ_MANY, WORKLOADS, WRITE

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

DURATION_S = 1.5
"""Of one trial. Short enough that the default sweep ends in under a minute."""

DEFAULT_BATCH = 32

MIB = 1 << 20

MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs")

EXIT_FAILED_TRIAL = 1
EXIT_INTERRUPTED = 130


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """All that was asked for; the trials are every combination of it."""

    workload: str
    batch: int
    engines: tuple[str, ...]
    loops: tuple[str, ...]
    loops_per_trial: int
    busy_thread: bool
    clients: tuple[int, ...]
    background: tuple[int, ...]
    block_size: int
    file_size: int
    direct: bool
    duration_s: float | None
    ops_per_client: int | None
    verify: bool
    repeats: int
    seed: int
    out: Path
    directory: Path

    @staticmethod
    def from_options(options: argparse.Namespace) -> Sweep:
        """Return the sweep that the command line asks for."""
        fixed_work = options.ops_per_client is not None
        return Sweep(
            workload=options.workload,
            batch=options.batch or (DEFAULT_BATCH if options.workload == READ_MANY else 1),
            engines=options.engines
            or default_engines(options.workload, background=any(options.background)),
            loops=options.loop,
            loops_per_trial=options.loops,
            busy_thread=options.busy_thread,
            clients=options.clients,
            background=options.background,
            block_size=options.block_size,
            file_size=options.file_size,
            direct=options.direct,
            duration_s=None if fixed_work else options.duration or DURATION_S,
            ops_per_client=options.ops_per_client,
            verify=options.verify,
            repeats=options.repeat,
            seed=options.seed,
            out=options.out,
            directory=options.dir,
        )

    @property
    def path(self) -> Path:
        """The file that is read or overwritten."""
        return dataset.path_of(
            self.directory,
            overwritten=WORKLOADS[self.workload].writes,
            block_size=self.block_size,
            file_size=self.file_size,
        )

    def contenders(self) -> list[tuple[str, str]]:
        """Return each engine with each loop that it runs on."""
        return [
            (engine, loop)
            for engine in self.engines
            for loop in (self.loops if ENGINES[engine].open_async else (NO_LOOP,))
            if loop == NO_LOOP or loop in ENGINES[engine].loops
        ]

    def trials(self) -> list[Trial]:
        """Return all trials, in the order in which they are to be run."""
        return shuffled(
            (
                Trial(
                    engine=engine,
                    loop=loop,
                    clients=clients,
                    background=background,
                    loops=1 if loop == NO_LOOP else self.loops_per_trial,
                    busy_thread=self.busy_thread,
                    workload=self.workload,
                    batch=self.batch,
                    path=str(self.path.absolute()),
                    block_size=self.block_size,
                    file_size=self.file_size,
                    direct=self.direct,
                    duration_s=self.duration_s,
                    ops_per_client=self.ops_per_client,
                    verify=self.verify,
                    seed=self.seed,
                    repeat=repeat,
                )
                for repeat in range(self.repeats)
                for clients in self.clients
                for background in self.background
                for engine, loop in self.contenders()
            ),
            self.seed,
        )


def default_engines(workload: str, *, background: bool = False) -> tuple[str, ...]:
    """Return those that a sweep has without asking for them."""
    return tuple(
        engine.name
        for engine in ENGINES.values()
        if engine.by_default and engine.does(workload)
        if engine.open_async or not background
    )


def run_sweep(sweep: Sweep, command: list[str]) -> int:
    """Run all trials and report; an interruption still reports what was done."""
    _refuse(sweep)
    _prepare(sweep)
    host = host_record(sweep.directory, command)
    terminal.show_host(host)
    begin_records(sweep.out, [host])
    interrupted = False
    try:
        _run_trials(sweep)
    except KeyboardInterrupt:
        interrupted = True
    status = show_report(sweep.out)
    return EXIT_INTERRUPTED if interrupted else status


def show_report(out: Path) -> int:
    """Write the CSV files from the records, show the totals and say where all is."""
    records = read_records(out)
    totals = write_report(out, records)
    terminal.show_totals(totals)
    terminal.show_notes(records)
    terminal.console.print(
        f"{out}/: {TOTALS_FILE}, fairness_by_nclients-<N>.csv, {RECORDS_FILE}", soft_wrap=True
    )
    return EXIT_FAILED_TRIAL if any(row.error for row in totals) else 0


def _refuse(sweep: Sweep) -> None:
    """Refuse what can be told to be wrong before anything is written."""
    if sweep.block_size < dataset.BLOCK_BYTES_MIN:
        raise RefusalError(f"--block-size is below {dataset.BLOCK_BYTES_MIN} bytes")
    if sweep.file_size % sweep.block_size:
        raise RefusalError("--file-size is not a multiple of --block-size")
    if (sweep.out / RECORDS_FILE).exists():
        raise RefusalError(f"{sweep.out} already holds records; choose another --out")
    for loop in sweep.loops:
        refuse_missing_loop(loop)
    _refuse_work(sweep)


def _refuse_work(sweep: Sweep) -> None:
    """Refuse what no engine, or not each of those asked for, can do."""
    if sweep.batch > 1 and sweep.workload != READ_MANY:
        raise RefusalError(f"--batch belongs to --workload {READ_MANY}")
    if sweep.ops_per_client is not None and sweep.ops_per_client % sweep.batch:
        raise RefusalError(f"--ops-per-client is not a multiple of the batch of {sweep.batch}")
    if sweep.verify and sweep.workload == WRITE:
        raise RefusalError("--verify looks at what is read; the workload write reads nothing")
    if any(sweep.background) and sweep.duration_s is None:
        raise RefusalError("--background has clients that never end; so --ops-per-client cannot be")
    if sweep.loops_per_trial > min(sweep.clients):
        raise RefusalError(
            f"{sweep.loops_per_trial} loops need at least as many clients, not {min(sweep.clients)}"
        )
    for name in sweep.engines:
        engine = ENGINES[name]
        if not engine.does(sweep.workload):
            raise RefusalError(f"the engine {name} does no {sweep.workload}")
        if any(sweep.background) and not engine.open_async:
            raise RefusalError(f"the engine {name} has no tasks, so none in the --background")
        if engine.open_async and not set(engine.loops) & set(sweep.loops):
            raise RefusalError(f"the engine {name} runs on {' and '.join(engine.loops)} alone")


def _prepare(sweep: Sweep) -> None:
    """Make the folders and the file; what the file system will not do is refused."""
    try:
        sweep.directory.mkdir(parents=True, exist_ok=True)
        if mount_facts(sweep.directory)["file_system"] in MEMORY_FILE_SYSTEMS:
            terminal.console.print(f"note: {sweep.directory} is in memory; no disk is measured")
        with terminal.progress_bar() as bar:
            step = bar.add_task(
                "filling the file, or checking it (MiB)", total=sweep.file_size / MIB
            )

            def progress(done: int) -> None:
                bar.advance(step, done / MIB)

            dataset.ensure_file(sweep.path, sweep.file_size, sweep.block_size, progress)
        if sweep.direct:
            dataset.refuse_without_direct(sweep.path, sweep.block_size)
        sweep.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RefusalError(f"{error.filename}: {error.strerror}") from error


def _run_trials(sweep: Sweep) -> None:
    trials = sweep.trials()
    with terminal.progress_bar() as bar:
        step = bar.add_task("", total=len(trials))
        for trial in trials:
            bar.update(step, description=f"{trial.engine}/{trial.loop}, {trial.clients} clients")
            append_record(sweep.out, run_in_fresh_process(trial))
            bar.advance(step)
