"""A sweep: every combination of what was asked for, and how it is written down and read back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from asyncuring.benchmark import files
from asyncuring.benchmark.engines import ENGINES
from asyncuring.benchmark.loops import NO_LOOP
from asyncuring.benchmark.refusal import RefusalError
from asyncuring.benchmark.runner import shuffled
from asyncuring.benchmark.system_calls import traced
from asyncuring.benchmark.trial import Trial
from asyncuring.benchmark.workload import READ_MANY, WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from asyncuring.benchmark.recording import Record

DURATION_S = 1.5
"""Of one trial. Short enough that the default sweep ends in under a minute."""

DEFAULT_BATCH = 32

KIND = "sweep"


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One table of a plan, or the command line; the trials are every combination of it."""

    workload: str
    batch: int
    pipeline: int
    offsets: str
    read_share: float
    think_s: float
    files: str
    engines: tuple[str, ...]
    loops: tuple[str, ...]
    loops_per_trial: int
    busy_thread: bool
    clients: tuple[int, ...]
    background: tuple[int, ...]
    block_size: int
    file_size: int
    direct: bool
    memory_limit: int | None
    duration_s: float | None
    ops_per_client: int | None
    verify: bool
    system_calls: bool
    repeats: int
    seed: int
    directory: str
    """Absolute, so that the sweep can be resumed from anywhere."""

    @staticmethod
    def from_options(options: Mapping[str, Any], directory: Path) -> Sweep:
        """Return the sweep that complete `options.Values` ask for, with its files there."""
        fixed_work = options["ops_per_client"] is not None
        workload, background = options["workload"], options["background"]
        return Sweep(
            workload=workload,
            batch=options["batch"] or (DEFAULT_BATCH if workload == READ_MANY else 1),
            pipeline=options["pipeline"],
            offsets=options["offsets"],
            read_share=WORKLOADS[workload].read_share
            if options["read_share"] is None
            else options["read_share"],
            think_s=options["think"] or 0.0,
            files=options["files"],
            engines=options["engines"] or default_engines(workload, background=any(background)),
            loops=options["loop"],
            loops_per_trial=options["loops"],
            busy_thread=options["busy_thread"],
            clients=options["clients"],
            background=background,
            block_size=options["block_size"],
            file_size=options["file_size"],
            direct=options["direct"],
            memory_limit=options["memory_limit"],
            duration_s=None if fixed_work else options["duration"] or DURATION_S,
            ops_per_client=options["ops_per_client"],
            verify=options["verify"],
            system_calls=options["system_calls"],
            repeats=options["repeat"],
            seed=options["seed"],
            directory=str(directory.absolute()),
        )

    @staticmethod
    def from_record(record: Record) -> Sweep:
        """Return the sweep that `to_record` wrote."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in record.items()
            if name != "kind"
        }
        differing = values.keys() ^ {field.name for field in fields(Sweep)}
        if differing:
            raise RefusalError(
                f"the sweep was begun by another version of the benchmark: {min(differing)} differs"
            )
        return Sweep(**values)

    def to_record(self) -> Record:
        """Return all that was asked for, as a line of the records file."""
        return {"kind": KIND, **asdict(self)}

    def path(self, clients: int, background: int) -> Path:
        """Return the file, or the folder, of the trials with so many clients."""
        return files.path_of(
            Path(self.directory),
            workload=self.workload,
            files=self.files,
            clients=clients + background,
            block_size=self.block_size,
            file_size=self.file_size,
        )

    def one_for_each_path(self) -> dict[str, Trial]:
        """Return a trial for each file or folder that the trials need."""
        return {trial.path: trial for trial in self.trials()}

    def contenders(self) -> list[tuple[str, str]]:
        """Return each engine with each loop that it runs on."""
        return [
            (engine, loop)
            for engine in self.engines
            for loop in (self.loops if ENGINES[engine].loops else (NO_LOOP,))
            if loop == NO_LOOP or loop in ENGINES[engine].loops
        ]

    def trials(self) -> list[Trial]:
        """Return all trials, in the order in which they are to be run; the marked pass is last."""
        timed = shuffled(
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
                    pipeline=self.pipeline,
                    offsets=self.offsets,
                    read_share=self.read_share,
                    think_s=self.think_s,
                    files=self.files,
                    path=str(self.path(clients, background)),
                    block_size=self.block_size,
                    file_size=self.file_size,
                    direct=self.direct,
                    memory_limit=self.memory_limit,
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
        return [*timed, *(traced(timed) if self.system_calls else ())]


def default_engines(workload: str, *, background: bool = False) -> tuple[str, ...]:
    """Return those that a sweep has without asking for them."""
    return tuple(
        engine.name
        for engine in ENGINES.values()
        if engine.by_default and engine.does(workload)
        if engine.open_async or not background
    )
