"""One trial, carried out in this process: warm the file, let all clients go, measure.

The process that runs it is fresh (`runner.py`), so that no engine inherits the threads,
the heap or the rings of another.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import AsyncExitStack, ExitStack, closing
from typing import TYPE_CHECKING

from asyncuring.benchmark import files, verification
from asyncuring.benchmark.busy import busy_thread
from asyncuring.benchmark.client import Client
from asyncuring.benchmark.engines import ENGINES
from asyncuring.benchmark.loops import LOOPS
from asyncuring.benchmark.meters import Meters
from asyncuring.benchmark.window import AsyncGate, Window
from asyncuring.benchmark.workload import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from asyncuring.benchmark.engine import Engine
    from asyncuring.benchmark.lane import Lane
    from asyncuring.benchmark.loops import AsyncMain
    from asyncuring.benchmark.recording import Record
    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.verification import Check
    from asyncuring.benchmark.workload import Op

STACK_BYTES = 256 << 10
"""Stack of a blocking client: it calls one function; a thousand default stacks are 8 GiB."""


class NoOpError(Exception):
    """The window closed before there was anything to measure."""


class NoDirectError(Exception):
    """The engine would measure the page cache, or get EINVAL for its buffers."""


def execute(trial: Trial) -> Record:
    """Run the trial and return its record; what goes wrong is raised."""
    engine = ENGINES[trial.engine]
    if trial.direct and not engine.direct:
        raise NoDirectError(f"{trial.engine} cannot go past the page cache")
    workload = WORKLOADS[trial.workload]
    checks = verification.checks_of(trial) if trial.verify and engine.reads else {}
    if checks and workload.writes and not workload.one_log:
        # Nobody is to blame for what a trial before left broken.
        files.ensure(trial, lambda _: None)
    if trial.memory_limit is not None:
        # What is cached counts where it was read first.
        files.drop_from_cache(trial)
    if not trial.direct:
        files.warm(trial)
    resident_before = files.resident_fraction(trial)
    with closing(Meters(trial)) as meters, busy_thread(trial.busy_thread):
        measured = (
            _run_clients(engine, trial, meters, checks)
            if engine.run is None
            else _run_elsewhere(engine.run, trial, meters)
        )
    if not any(client["ops"] for client in measured["clients"]):
        raise NoOpError(_nothing_done(measured))
    residency = {
        "resident_before": resident_before,
        "resident_after": files.resident_fraction(trial),
    }
    for check in checks.values():
        check.finish()
    if workload.writes:
        files.write_back(trial)
    return residency | {"background": []} | measured


def _nothing_done(measured: Record) -> str:
    errors: Counter[str] = Counter()
    for client in measured["clients"]:
        errors.update(client["errors"])
    text = f"no client finished an op within {measured['seconds']:g} s"
    return ", ".join([text, *(f"{count} x {name}" for name, count in errors.items())])


def _run_elsewhere(run: Callable[[Trial], Record], trial: Trial, meters: Meters) -> Record:
    """Return what another program measured, and what could be seen of it from here."""
    meters.open()
    measured = run(trial)
    meters.close()
    return measured | meters.record_elsewhere()


def _run_clients(
    engine: Engine, trial: Trial, meters: Meters, checks: Mapping[str, Check]
) -> Record:
    """Return what the clients of this process measured."""
    clients = [Client(trial, number) for number in range(trial.clients)]
    behind = range(trial.clients, trial.clients + trial.background)
    background = [Client(trial, number) for number in behind]
    window = Window(trial.clients * trial.pipeline, trial.duration_s, meters)
    if engine.open_sync is None:
        details = _run_tasks(engine, trial, clients, background, window, checks)
    else:
        details = _run_threads(engine, trial, clients, window, checks)
    return {
        "seconds": window.seconds,
        "cpu_us": window.cpu_us,
        "details": details,
        "clients": [client.record(window) for client in clients],
        "background": [client.record(window) for client in background],
        **meters.record(
            window.opened_ns,
            [lane.times.completions_ns for client in clients for lane in client.lanes],
        ),
    }


def _run_tasks(  # noqa: PLR0913, PLR0917 - what there is to bring together
    engine: Engine,
    trial: Trial,
    clients: Sequence[Client],
    background: Sequence[Client],
    window: Window,
    checks: Mapping[str, Check],
) -> dict[str, object]:
    """Run the clients on the trial's loops, dealt out in turn."""
    assert engine.open_async is not None
    open_async, loop = engine.open_async, LOOPS[trial.loop]
    compose = WORKLOADS[trial.workload].compose
    details: dict[str, object] = {}
    barrier = threading.Barrier(trial.loops, action=window.open)

    async def main(clients: Sequence[Client], background: Sequence[Client]) -> None:
        async with AsyncExitStack() as stack:
            opened: dict[str, Op] = {}
            for file in _each_once((*clients, *background)):
                op = compose(await stack.enter_async_context(open_async(file)))
                opened[file.path] = verification.checked(op, checks.get(file.path))
            lanes = sum(len(client.lanes) for client in (*clients, *background))
            gate = AsyncGate(barrier, lanes, loop.new_event())

            def run_one(op: Op, lane: Lane) -> AsyncMain:
                return lambda: lane.run(op, window, gate, loop.sleep)

            def run_behind(op: Op, lane: Lane) -> AsyncMain:
                async def run() -> None:
                    with engine.background():
                        await lane.run(op, window, gate, loop.sleep)

                return run

            async with window.meters.probing(loop):
                await loop.run_all(
                    [
                        run(opened[client.file.path], lane)
                        for run, group in ((run_behind, background), (run_one, clients))
                        for client in group
                        for lane in client.lanes
                    ]
                )
            if engine.details is not None:
                details.update(engine.details())

    def run_share(number: int) -> Callable[[], None]:
        share = slice(number, None, trial.loops)
        return lambda: loop.run(lambda: main(clients[share], background[share]))

    if trial.loops == 1:
        run_share(0)()
    else:
        _run_all_threads([run_share(number) for number in range(trial.loops)], barrier)
    return details


def _run_threads(
    engine: Engine,
    trial: Trial,
    clients: Sequence[Client],
    window: Window,
    checks: Mapping[str, Check],
) -> dict[str, object]:
    assert engine.open_sync is not None
    compose = WORKLOADS[trial.workload].compose
    barrier = threading.Barrier(trial.clients * trial.pipeline, action=window.open)
    threading.stack_size(STACK_BYTES)
    with ExitStack() as stack:
        opened: dict[str, Op] = {}
        for file in _each_once(clients):
            op = compose(stack.enter_context(engine.open_sync(file)))
            opened[file.path] = verification.checked_sync(op, checks.get(file.path))

        def run_one(op: Op, lane: Lane) -> Callable[[], None]:
            return lambda: lane.run_sync(op, window, barrier)

        _run_all_threads(
            [
                run_one(opened[client.file.path], lane)
                for client in clients
                for lane in client.lanes
            ],
            barrier,
        )
    return {} if engine.details is None else engine.details()


def _each_once(clients: Iterable[Client]) -> Iterable[Trial]:
    """Return the trials with the files that these clients need."""
    return {client.file.path: client.file for client in clients}.values()


def _run_all_threads(functions: Sequence[Callable[[], None]], barrier: threading.Barrier) -> None:
    """Run functions at once, each in a thread; the first failure breaks the barrier, is raised."""
    failures: list[BaseException] = []

    def run_one(function: Callable[[], None]) -> None:
        try:
            function()
        except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
            failures.append(error)
            barrier.abort()

    threads = [threading.Thread(target=run_one, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        # The first is the cause; the others may be its echo from the broken barrier.
        raise failures[0]
