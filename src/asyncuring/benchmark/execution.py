"""One trial, carried out in this process: warm the file, let all clients go, measure.

The process that runs it is fresh (`runner.py`), so that no engine inherits the threads,
the heap or the rings of another.
"""

from __future__ import annotations

import mmap
import random
import threading
from array import array
from typing import TYPE_CHECKING

from asyncuring.benchmark import dataset
from asyncuring.benchmark.client import Client
from asyncuring.benchmark.engines import ENGINES
from asyncuring.benchmark.loops import LOOPS
from asyncuring.benchmark.window import AsyncGate, Window

if TYPE_CHECKING:
    from asyncuring.benchmark.client import AsyncReadAt, SyncReadAt
    from asyncuring.benchmark.engine import Engine
    from asyncuring.benchmark.loops import AsyncMain
    from asyncuring.benchmark.recording import Record
    from asyncuring.benchmark.trial import Trial

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
    clients = [
        Client(mmap.mmap(-1, trial.block_size), draw_offsets(trial, number), trial.ops_per_client)
        for number in range(trial.clients)
    ]
    window = Window(trial.clients, trial.duration_s)
    if engine.open_sync is not None:
        details = _run_threads(engine, trial, clients, window)
    else:
        details = _run_tasks(engine, trial, clients, window)
    measured = [client.record(window) for client in clients]
    if not any(client["ops"] for client in measured):
        raise NoOpError(f"no client finished an op within {window.seconds:g} s")
    return {
        "resident_before": resident_before,
        "resident_after": dataset.resident_fraction(trial.path),
        "seconds": window.seconds,
        "cpu_us": window.cpu_us,
        "details": details,
        "clients": measured,
    }


def draw_offsets(trial: Trial, client: int) -> array[int]:
    """Return the block-aligned byte offsets that one client reads; equal for all engines."""
    random_source = random.Random(f"{trial.seed}/{trial.repeat}/{client}")
    offsets = range(0, trial.file_size, trial.block_size)
    count = max(OFFSETS_PER_CLIENT_MIN, OFFSETS_PER_TRIAL // trial.clients)
    return array("q", random_source.choices(offsets, k=count))


def _run_tasks(
    engine: Engine, trial: Trial, clients: list[Client], window: Window
) -> dict[str, object]:
    assert engine.open_async is not None
    open_async, loop = engine.open_async, LOOPS[trial.loop]
    details: dict[str, object] = {}

    async def main() -> None:
        async with open_async(trial) as opened:
            read_at = _checked(opened, trial) if trial.verify and engine.reads else opened
            gate = AsyncGate(window, trial.clients, loop.new_event())

            def run_one(client: Client) -> AsyncMain:
                return lambda: client.run(read_at, window, gate)

            await loop.run_all([run_one(client) for client in clients])
            if engine.details is not None:
                details.update(engine.details())

    loop.run(main)
    return details


def _run_threads(
    engine: Engine, trial: Trial, clients: list[Client], window: Window
) -> dict[str, object]:
    assert engine.open_sync is not None
    failures: list[BaseException] = []
    gate = threading.Barrier(trial.clients, action=window.open)

    def run_one(client: Client, read_at: SyncReadAt) -> None:
        try:
            client.run_sync(read_at, window, gate)
        except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
            failures.append(error)
            gate.abort()

    threading.stack_size(STACK_BYTES)
    with engine.open_sync(trial) as opened:
        read_at = _checked_sync(opened, trial) if trial.verify and engine.reads else opened
        threads = [threading.Thread(target=run_one, args=(client, read_at)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failures:
        # The first is the cause; the others may be its echo from the broken barrier.
        raise failures[0]
    return {} if engine.details is None else engine.details()


def _checked(read_at: AsyncReadAt, trial: Trial) -> AsyncReadAt:
    """Return ``read_at`` followed by a look at what was read, which counts as its latency."""

    async def checked_read_at(buf: mmap.mmap, off: int) -> int:
        count = await read_at(buf, off)
        dataset.check_block(buf, off, trial.block_size)
        return count

    return checked_read_at


def _checked_sync(read_at: SyncReadAt, trial: Trial) -> SyncReadAt:
    def checked_read_at(buf: mmap.mmap, off: int) -> int:
        count = read_at(buf, off)
        dataset.check_block(buf, off, trial.block_size)
        return count

    return checked_read_at
