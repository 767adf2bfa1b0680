"""One trial, carried out in this process: warm the file, let all clients go, measure.

The process that runs it is fresh (`runner.py`), so that no engine inherits the threads,
the heap or the rings of another.
"""

from __future__ import annotations

import mmap
import random
import threading
from array import array
from typing import TYPE_CHECKING, Any

from asyncuring.benchmark import dataset, verification
from asyncuring.benchmark.busy import busy_thread
from asyncuring.benchmark.client import Client
from asyncuring.benchmark.client_many import ManyClient
from asyncuring.benchmark.engines import ENGINES
from asyncuring.benchmark.loops import LOOPS
from asyncuring.benchmark.window import AsyncGate, Window
from asyncuring.benchmark.workload import READ_MANY, WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncuring.benchmark.engine import Engine
    from asyncuring.benchmark.loops import AsyncMain
    from asyncuring.benchmark.recording import Record
    from asyncuring.benchmark.trial import Trial

    Clients = Sequence[Client] | Sequence[ManyClient]

OFFSETS_PER_TRIAL = 1 << 16
"""Offsets drawn before the clients start, shared out among them; each cycles over its own.
Enough to visit most of the default file, few enough that they stay in the CPU's cache."""

OFFSETS_PER_CLIENT_MIN = 256

STACK_BYTES = 256 << 10
"""Stack of a blocking client: it calls one function; a thousand default stacks are 8 GiB."""


class NoOpError(Exception):
    """The window closed before there was anything to measure."""


def execute(trial: Trial) -> Record:
    """Run the trial and return its record; what goes wrong is raised."""
    engine = ENGINES[trial.engine]
    if not trial.direct:
        dataset.warm(trial.path)
    resident_before = dataset.resident_fraction(trial.path)
    with busy_thread(trial.busy_thread):
        measured = _run_clients(engine, trial) if engine.run is None else engine.run(trial)
    if not any(client["ops"] for client in measured["clients"]):
        raise NoOpError(f"no client finished an op within {measured['seconds']:g} s")
    residency = {
        "resident_before": resident_before,
        "resident_after": dataset.resident_fraction(trial.path),
    }
    if WORKLOADS[trial.workload].writes:
        dataset.write_back(trial.path)
    return residency | {"background": []} | measured


def draw_offsets(trial: Trial, client: int) -> array[int]:
    """Return the block-aligned byte offsets that one client visits; equal for all engines."""
    random_source = random.Random(f"{trial.seed}/{trial.repeat}/{client}")
    offsets = range(0, trial.file_size, trial.block_size)
    count = max(OFFSETS_PER_CLIENT_MIN, OFFSETS_PER_TRIAL // trial.clients, trial.batch)
    return array("q", random_source.choices(offsets, k=count))


def _run_clients(engine: Engine, trial: Trial) -> Record:
    """Return what the clients of this process measured."""
    clients = _clients(trial, range(trial.clients))
    window = Window(trial.clients, trial.duration_s)
    if engine.open_sync is None:
        background = _clients(trial, range(trial.clients, trial.clients + trial.background))
        details = _run_tasks(engine, trial, clients, background, window)
    else:
        background = []
        details = _run_threads(engine, trial, clients, window)
    return {
        "seconds": window.seconds,
        "cpu_us": window.cpu_us,
        "details": details,
        "clients": [client.record(window) for client in clients],
        "background": [client.record(window) for client in background],
    }


def _clients(trial: Trial, numbers: range) -> Clients:
    def buffer() -> mmap.mmap:
        buf = mmap.mmap(-1, trial.block_size)
        if WORKLOADS[trial.workload].writes:
            # No disk may find it easier than real data.
            buf[:] = random.Random(trial.seed).randbytes(trial.block_size)
        return buf

    work = [(draw_offsets(trial, number), trial.ops_per_client) for number in numbers]
    if trial.workload == READ_MANY:
        return [ManyClient([buffer() for _ in range(trial.batch)], *mine) for mine in work]
    return [Client(buffer(), *mine) for mine in work]


def _run_tasks(
    engine: Engine, trial: Trial, clients: Clients, background: Clients, window: Window
) -> dict[str, object]:
    """Run the clients on the trial's loops, dealt out in turn."""
    assert engine.open_async is not None
    open_async, loop = engine.open_async, LOOPS[trial.loop]
    compose = WORKLOADS[trial.workload].compose
    details: dict[str, object] = {}
    barrier = threading.Barrier(trial.loops, action=window.open)

    async def main(clients: Clients, background: Clients) -> None:
        async with open_async(trial) as ops:
            op = compose(ops)
            if trial.verify and engine.reads:
                op = verification.checked(op, trial)
            gate = AsyncGate(barrier, len(clients) + len(background), loop.new_event())

            def run_one(client: Any) -> AsyncMain:
                # The workload decides on both, the kind of client and the kind of op.
                return lambda: client.run(op, window, gate)

            def run_behind(client: Any) -> AsyncMain:
                async def run() -> None:
                    with engine.background():
                        await client.run(op, window, gate)

                return run

            await loop.run_all([*map(run_behind, background), *map(run_one, clients)])
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
    engine: Engine, trial: Trial, clients: Clients, window: Window
) -> dict[str, object]:
    assert engine.open_sync is not None
    barrier = threading.Barrier(trial.clients, action=window.open)
    threading.stack_size(STACK_BYTES)
    with engine.open_sync(trial) as ops:
        op = WORKLOADS[trial.workload].compose(ops)
        if trial.verify and engine.reads:
            op = verification.checked_sync(op, trial)

        def run_one(client: Client | ManyClient) -> Callable[[], None]:
            assert isinstance(client, Client)
            return lambda: client.run_sync(op, window, barrier)

        _run_all_threads([run_one(client) for client in clients], barrier)
    return {} if engine.details is None else engine.details()


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
