"""The least that any await costs: a future, its resolution, and nothing around them.

No client, no clock, no record: this is what `null` is held against, to know what the harness
itself takes. As many tasks run on the same loops, so that the CPU's caches are as full.
"""

from __future__ import annotations

import asyncio
import threading
import time
from itertools import count
from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import Engine
from asyncuring.benchmark.loops import LOOPS
from asyncuring.benchmark.window import AsyncGate, clock_ns
from asyncuring.benchmark.workload import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from asyncuring.benchmark.recording import Record
    from asyncuring.benchmark.trial import Trial

    Awaits = Callable[[Iterable[int], list[bool]], Awaitable[int]]
    """Awaits once per step until there is something in the list; returns how often."""


async def _await_futures(steps: Iterable[int], stopped: list[bool]) -> int:
    loop = asyncio.get_running_loop()
    create_future, call_soon = loop.create_future, loop.call_soon
    done = 0
    for done in steps:
        if stopped:
            return done
        future = create_future()
        call_soon(future.set_result, None)
        await future
    return done + 1


async def _await_rescheduling(steps: Iterable[int], stopped: list[bool]) -> int:
    from outcome import Value  # noqa: PLC0415 - comes with trio, which is optional
    from trio.lowlevel import (  # noqa: PLC0415
        Abort,
        current_task,
        reschedule,
        wait_task_rescheduled,
    )

    def refuse_to_abort(_raise_cancel: object) -> Abort:
        return Abort.FAILED

    task, done = current_task(), 0
    for done in steps:
        if stopped:
            return done
        reschedule(task, Value(None))
        await wait_task_rescheduled(refuse_to_abort)
    return done + 1


_AWAITS: dict[str, Awaits] = {
    "asyncio": _await_futures,
    "uvloop": _await_futures,
    "trio": _await_rescheduling,
    "uringio": _await_futures,
}


def _thinking(
    awaits: Awaits, sleep: Callable[[float], Awaitable[object]], seconds: float
) -> Awaits:
    async def think_and_await(steps: Iterable[int], stopped: list[bool]) -> int:
        done = 0
        for done in steps:
            if stopped:
                return done
            await sleep(seconds)
            await awaits(range(1), [])
        return done + 1

    return think_and_await


def _steps(trial: Trial) -> Iterable[int]:
    if trial.ops_per_client is None:
        return count()
    return range(trial.ops_per_client // trial.batch)


class _Stretch:
    """Clock and CPU meter. The last to close it counts."""

    def __init__(self) -> None:
        self.ns = self.cpu_ns = self._opened_ns = self._cpu_before_ns = 0

    def open(self) -> None:
        self._opened_ns, self._cpu_before_ns = clock_ns(), time.process_time_ns()

    def close(self) -> None:
        self.ns = clock_ns() - self._opened_ns
        self.cpu_ns = time.process_time_ns() - self._cpu_before_ns


def _run(trial: Trial) -> Record:
    loop, awaits = LOOPS[trial.loop], _AWAITS[trial.loop]
    if trial.think_s:
        awaits = _thinking(awaits, loop.sleep, trial.think_s)
    tasks = trial.clients * trial.pipeline
    stretch = _Stretch()
    barrier = threading.Barrier(trial.loops, action=stretch.open)
    stopped: list[bool] = []
    counts: list[int] = []

    async def main(tasks: int) -> None:
        timers = 0 if trial.duration_s is None else 1
        gate = AsyncGate(barrier, tasks + timers, loop.new_event())

        async def client() -> None:
            await gate.pass_through()
            counts.append(await awaits(_steps(trial), stopped))
            if trial.duration_s is None:
                stretch.close()

        async def timer() -> None:
            await gate.pass_through()
            await loop.sleep(trial.duration_s or 0)
            stretch.close()
            stopped.append(True)

        await loop.run_all([client] * tasks + [timer] * timers)

    def run_share(number: int) -> None:
        loop.run(lambda: main(len(range(number, tasks, trial.loops))))

    others = [threading.Thread(target=run_share, args=(n,)) for n in range(1, trial.loops)]
    for thread in others:
        thread.start()
    run_share(0)
    for thread in others:
        thread.join()
    return {
        "seconds": stretch.ns / 1e9,
        "cpu_us": stretch.cpu_ns / 1e3,
        "details": {},
        "clients": [
            {
                "ops": sum(counts) * trial.batch,
                "bytes": 0,
                "started_ns": 0,
                "finished_ns": stretch.ns,
                "latency_ns_max": None,
                "latency_histogram": [],
                "errors": {},
            }
        ],
    }


engines = (
    Engine(
        name="bare",
        summary="no IO, no client, no record: what an await itself costs",
        notes="null over bare is what the harness costs",
        run=_run,
        loops=tuple(_AWAITS),
        workloads=tuple(WORKLOADS),
        reads=False,
    ),
)
