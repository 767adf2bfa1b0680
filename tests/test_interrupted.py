"""KeyboardInterrupt in the middle of the library: no op is lost, and none is done twice."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import asyncuring
from asyncuring import GroupCommit, open_file
from asyncuring._account import Account
from asyncuring._barrier import Behind
from asyncuring._proactor import Proactor
from tests.conftest import PATTERN
from tests.held import held_write
from tests.interrupting import Interruption, places_of
from tests.running import Task, checkpoints, is_pinned, until_in_flight

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run


def test_when_it_is_asked_for(run: Run, driver: DriverName, file: Path) -> None:
    """No buffer is in use behind the await; closing waits for what was asked for, and no more."""

    async def read(at: int) -> str | None:
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:
            buf = bytearray(8)
            with Interruption(at, Account.perform, Account.perform_all) as interruption:
                with suppress(KeyboardInterrupt):
                    await uring_file.read_at(buf, 0)
                assert not is_pinned(buf)
                with suppress(KeyboardInterrupt):
                    await uring_file.read_many_at([(bytearray(8), 0), (bytearray(8), 8)])
        return interruption.place

    assert len(places_of(lambda at: run(read, at))) > 5


def test_when_a_record_is_appended(run: Run, driver: DriverName, file: Path) -> None:
    """The next one is appended as if nothing had been, and closing waits for nothing else."""

    async def append(at: int) -> str | None:
        async with await open_file(file, "r+", driver=driver, cached_reads="ring") as uring_file:
            log = GroupCommit(uring_file, 0)
            interruption = Interruption(at, GroupCommit.append)
            with suppress(KeyboardInterrupt), interruption:
                await log.append(b"interrupted")
            assert await log.append(b"behind it") in {0, len(b"interrupted")}
        return interruption.place

    assert len(places_of(lambda at: run(append, at))) > 5


def test_when_a_write_waits_behind_a_barrier(run: Run, driver: DriverName, fifo: Path) -> None:
    """Closing the file waits for it no longer than it waits itself."""

    async def write(at: int) -> str | None:
        async with held_write(fifo, driver) as (uring_file, before, let_go):

            async def write_behind() -> None:
                with suppress(KeyboardInterrupt):
                    await uring_file.write_at(b"2", 0)

            barrier = Task.start(uring_file.barrier)
            await checkpoints(3)
            with Interruption(at, Behind.wait_with_op, Behind.wait) as interruption:
                behind = Task.start(write_behind)
                await checkpoints(3)
                await let_go()
                await behind.join()
            assert await before.join() == 1
            await barrier.join()
        return interruption.place

    assert len(places_of(lambda at: run(write, at))) > 5


class Beside:
    """Tasks of all kinds in a loop that an interruption leaves, and that is run again."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.tasks: dict[str, asyncio.Task[Any]] = {}

    async def start(self, file: Path, fifo: Path, driver: DriverName) -> None:
        opened: Any = {"driver": driver, "cached_reads": "ring"}
        self.data = await open_file(file, "r+", **opened)
        self.stream = await open_file(fifo, "r+", **opened)
        self.other = await open_file(file, **opened)
        self.bufs = [bytearray(8) for _ in range(6)]
        bufs = self.bufs
        self.begin("held", self.stream.read_at(bufs[0], 0))
        self.begin("other", self.other.read_at(bufs[1], 16))
        await asyncio.sleep(0)
        self.begin("closing", self.other.aclose())
        self.begin("read", self.data.read_at(bufs[2], 8))
        self.begin("many", self.data.read_many_at([(bufs[3], 0), (bufs[4], 32)]))
        self.begin("write", self.data.write_at(PATTERN[:64], 0))
        self.begin("then", self.read_twice(bufs[5]))

    def begin(self, name: str, coroutine: Any) -> None:
        self.tasks[name] = self.loop.create_task(coroutine)

    async def read_twice(self, buf: bytearray) -> int:
        count: int = await self.data.read_at(buf, 24)
        return count + await self.data.read_at(buf, 24)

    async def go_on(self) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        self.tasks["held"].cancel()
        await asyncio.wait(self.tasks.values())

    async def check(self) -> None:
        _, late = await asyncio.wait(self.tasks.values(), timeout=5)
        assert not late, [name for name, task in self.tasks.items() if task in late]
        assert self.tasks["held"].cancelled()
        results = {name: task.result() for name, task in self.tasks.items() if name != "held"}
        assert results == {
            "other": 8, "closing": None, "read": 8, "many": [8, 8], "write": 64, "then": 16
        }  # fmt: skip
        offs = [16, 8, 0, 32, 24]
        assert [bytes(buf) for buf in self.bufs[1:]] == [PATTERN[off : off + 8] for off in offs]
        now = asyncuring.statistics()
        assert (now.in_flight, now.backlog) == (0, 0)
        for each in (self.data, self.stream):
            await each.aclose()


def interrupted_at(at: int, loop: Any, file: Path, fifo: Path, driver: DriverName) -> str | None:
    beside = Beside(loop)
    loop.run_until_complete(beside.start(file, fifo, driver))
    interruption = Interruption(at, Proactor.tick, Proactor.poll)
    with suppress(KeyboardInterrupt), interruption:
        loop.run_until_complete(beside.go_on())
    print(interruption.place)  # noqa: T201  pytest shows it where the test fails
    beside.tasks["held"].cancel()
    loop.run_until_complete(beside.check())
    loop.close()
    return interruption.place


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_in_the_middle_of_a_tick(kind: str, driver: DriverName, file: Path, fifo: Path) -> None:
    """On trio it comes in no tick: those are trio's own."""
    new = pytest.importorskip(kind).new_event_loop
    places = places_of(lambda at: interrupted_at(at, new(), file, fifo, driver))
    assert len(places) > 20


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_before_a_tick_which_the_loop_forgets(kind: str, driver: DriverName, fifo: Path) -> None:
    """Nothing begins any more by itself; what is cancelled ends, and so does closing."""
    loop = pytest.importorskip(kind).new_event_loop()
    stream = loop.run_until_complete(open_file(fifo, "r+", driver=driver))
    held = loop.create_task(stream.read_at(bytearray(8), 0))
    loop.run_until_complete(until_in_flight(1))
    late = loop.create_task(stream.read_at(bytearray(8), 0))
    interruption = Interruption(1, Proactor.tick, entering=True)
    with suppress(KeyboardInterrupt), interruption:
        loop.run_until_complete(until_in_flight(2))
    assert interruption.place is not None

    async def end() -> None:
        held.cancel()
        late.cancel()
        _, pending = await asyncio.wait([held, late], timeout=5)
        assert not pending
        await asyncio.wait_for(stream.aclose(), 5)

    loop.run_until_complete(end())
    assert (held.cancelled(), late.cancelled()) == (True, True)
    loop.close()
