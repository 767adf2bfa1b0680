"""A simulated disk that misbehaves: by rule and by seed."""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import asyncuring
from asyncuring.testing import SimulatedDisk
from tests.running import (
    LOOPS,
    CancelledTaskError,
    Task,
    checkpoints,
    forget,
    is_pinned,
    until_in_flight,
)
from tests.testing.disks import VIRTUAL_LOOPS, contents, finished, open_on

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

run = LOOPS["asyncio"]
run_virtually = VIRTUAL_LOOPS["asyncio"]

ERRORS = [errno.EIO, errno.ENOSPC, errno.ECANCELED]


async def outcomes(count: int, call: Callable[[], Awaitable[Any]]) -> list[Any]:
    """What came of so many calls: results, or errnos."""
    found: list[Any] = []
    for _ in range(count):
        try:
            found.append(await call())
        except OSError as error:  # noqa: PERF203  each is to go on
            found.append(-(error.errno or 0))
    return found


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("op", ["read", "write", "fsync", "fdatasync"])
def test_an_operation_fails_and_the_next_does_not(disk: SimulatedDisk, op: str, error: int) -> None:
    async def main() -> None:
        async with await open_on(disk, "a") as file:
            await file.write_all_at(b"1234", 0)
            calls: dict[str, Callable[[], Awaitable[Any]]] = {
                "read": lambda: file.read_at(bytearray(4), 0),
                "write": lambda: file.write_at(b"abcd", 0),
                "fsync": file.fsync,
                "fdatasync": file.fdatasync,
            }
            disk.fail(op, error=error)
            expected = 4 if op in {"read", "write"} else None
            assert await outcomes(2, calls[op]) == [-error, expected]

    run(main)
    assert [event.fault for event in disk.trace if event.op == op][-2:] == ["fail", ""]


def test_which_operations_fail_can_be_said(disk: SimulatedDisk) -> None:
    disk.fail("write", path="a*", after=1, times=2)

    async def main() -> None:
        async with await open_on(disk, "ab") as file, await open_on(disk, "b") as other:
            assert await outcomes(4, lambda: other.write_at(b"x", 0)) == [1, 1, 1, 1]
            assert await outcomes(5, lambda: file.write_at(b"x", 0)) == [1, -5, -5, 1, 1]

    run(main)


def test_chance_is_the_seeds() -> None:
    async def main(disk: SimulatedDisk) -> list[Any]:
        disk.fail("write", times=None, probability=0.5)
        async with await open_on(disk, "a") as file:
            return await outcomes(50, lambda: file.write_at(b"x", 0))

    found = []
    for seed in (1, 1, 2):
        with SimulatedDisk(seed) as disk:
            found.append(run(main, disk))
    assert found[0] == found[1] != found[2]
    assert 10 < found[0].count(1) < 40


def test_after_a_failed_fsync_the_cache_has_what_the_media_never_get(disk: SimulatedDisk) -> None:
    async def main() -> None:
        async with await open_on(disk, "a") as file:
            await file.write_all_at(b"old", 0)
            await file.fsync()
            await asyncuring.sync_directory(disk.path, driver=disk)
            await file.write_all_at(b"new", 0)
            disk.fail("fsync")
            assert await outcomes(2, file.fsync) == [-errno.EIO, None]
            buf = bytearray(3)
            await file.read_exactly_at(buf, 0)
            assert buf == b"new"

    run(main)
    (state,) = disk.crash_states()
    assert state.read("a") == b"old"


def test_a_close_that_fails_leaves_no_descriptor(disk: SimulatedDisk) -> None:
    disk.fail("close", error=errno.ENOSPC)

    async def main() -> None:
        file = await open_on(disk, "a")
        fd = file.fileno()
        assert await outcomes(1, file.aclose) == [-errno.ENOSPC]
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)

    run(main)


def test_reads_and_writes_come_short(disk: SimulatedDisk) -> None:
    disk.shorten("read", "write", times=None)

    async def main() -> None:
        async with await open_on(disk, "a") as file:
            data = bytes(range(200))
            assert 0 < await file.write_at(data, 0) < len(data)
            await file.write_all_at(data, 0)
            buf = bytearray(200)
            assert 0 < await file.read_at(buf, 0) < len(data)
            await file.read_exactly_at(buf, 0)
            assert buf == data

    run(main)
    assert {event.fault for event in disk.trace if event.op in {"read", "write"}} >= {"short"}


def test_a_disk_may_be_full() -> None:
    async def main(disk: SimulatedDisk) -> None:
        async with await open_on(disk, "a") as file, await open_on(disk, "b") as other:
            assert await file.write_at(b"x" * 1500, 0) == 1500
            assert await other.write_at(b"x" * 1500, 0) == 512
            assert await outcomes(1, lambda: other.write_at(b"x" * 1500, 512)) == [-errno.ENOSPC]
            assert await outcomes(1, lambda: file.allocate(2048, 512)) == [-errno.ENOSPC]
            assert await file.write_at(b"y" * 1500, 0) == 1500
            await file.truncate(512)
            assert await other.write_at(b"x" * 1500, 512) == 1024

    with SimulatedDisk(capacity=4 * 512) as disk:
        run(main, disk)


def test_a_bit_rots(disk: SimulatedDisk) -> None:
    async def main() -> None:
        async with await open_on(disk, "a") as file:
            await file.write_all_at(bytes(1000), 0)
            await file.fsync()
            await asyncuring.sync_directory(disk.path, driver=disk)
            disk.rot()
            buf = bytearray(100)
            await file.read_exactly_at(buf, 300)
            assert sum(byte.bit_count() for byte in buf) == 1
            again = bytearray(100)
            await file.read_exactly_at(again, 300)
            assert again == buf

    run(main)
    (state,) = disk.crash_states()
    assert state.read("a") == contents(disk.path)["a"] != bytes(1000)


def test_a_write_is_lost_though_it_was_synced(disk: SimulatedDisk) -> None:
    async def main() -> None:
        async with await open_on(disk, "a") as file:
            await file.write_all_at(b"o" * 600, 0)
            disk.lose_writes()
            await file.write_all_at(b"n" * 600, 0)
            await file.fsync()
            await asyncuring.sync_directory(disk.path, driver=disk)

    run(main)
    assert contents(disk.path)["a"] == b"n" * 600
    assert contents(disk.crash().path)["a"] == b"o" * 600


def test_a_write_goes_astray(disk: SimulatedDisk) -> None:
    async def main() -> None:
        async with await open_on(disk, "a") as file:
            await file.write_all_at(bytes(4096), 0)
            disk.misdirect_writes()
            await file.write_all_at(b"n" * 512, 1024)
            await file.fsync()
            await asyncuring.sync_directory(disk.path, driver=disk)

    run(main)
    assert contents(disk.path)["a"][1024:1536] == b"n" * 512
    content = contents(disk.crash().path)["a"]
    assert content[1024:1536] == bytes(512)
    assert content.count(b"n" * 512) == 1


def test_operations_that_take_time_overtake_each_other(disk: SimulatedDisk) -> None:
    disk.delay("write", seconds=lambda random: random.expovariate(1))
    ended: list[int] = []

    async def main() -> None:
        async with await open_on(disk, "a") as file:

            async def write(number: int) -> None:
                await file.write_at(b"x", number)
                ended.append(number)

            tasks = [Task.start(write, number) for number in range(10)]
            for task in tasks:
                await finished(task)

    run_virtually(main)
    assert sorted(ended) == list(range(10)) != ended
    assert [event.offset for event in disk.trace if event.op == "write"] == ended


def test_operations_of_one_tick_end_in_an_order_of_the_seeds() -> None:
    async def main(disk: SimulatedDisk) -> list[int]:
        async with await open_on(disk, "a") as file:
            await file.write_many_at([(b"x", number) for number in range(5)])
        return [event.offset for event in disk.trace if event.op == "write"]

    orders = set()
    for seed in range(20):
        with SimulatedDisk(seed) as disk:
            orders.add(tuple(run(main, disk)))
    assert len(orders) > 5


def test_what_takes_long_can_be_cancelled_or_ends_all_the_same() -> None:
    async def main(disk: SimulatedDisk) -> bytes:
        async with await open_on(disk, "a") as file:
            task = Task.start(file.write_at, b"x", 0)
            await checkpoints(5)
            task.cancel()
            with suppress(CancelledTaskError):
                await finished(task)
        return contents(disk.path)["a"]

    found = set()
    for seed in range(20):
        with SimulatedDisk(seed) as disk:
            disk.delay("write", seconds=10)
            content = run_virtually(main, disk)
            faults = [event.fault for event in disk.trace if event.op == "write"]
            assert faults == ["cancelled" if content == b"" else ""]
            found.add(content)
    assert found == {b"", b"x"}


def test_a_loop_that_is_gone_keeps_nobody_waiting_for_a_slow_disk(disk: SimulatedDisk) -> None:
    disk.delay("write", seconds=3600)
    loop = asyncio.new_event_loop()
    file = loop.run_until_complete(open_on(disk, "a"))
    buf = bytearray(1)
    task = loop.create_task(file.write_at(buf, 0))
    loop.run_until_complete(until_in_flight(1))
    loop.close()
    forget(task)
    assert is_pinned(buf)
    run(file.aclose)
    assert not is_pinned(buf)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda disk: disk.fail("walk"), "'walk' is none of 'nop'"),
        (lambda disk: disk.shorten("fsync"), "'fsync' is none of 'read', 'write'"),
        (lambda disk: disk.fail("read", probability=2), "between 0 and 1, not 2"),
        (lambda disk: disk.fail("read", after=-1), "must not be negative"),
        (lambda disk: disk.delay("read", seconds=1, times=-1), "must not be negative"),
    ],
)
def test_a_rule_that_can_never_take_effect_is_refused(
    disk: SimulatedDisk, call: Callable[[SimulatedDisk], None], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        call(disk)


def test_a_rule_has_no_other_arguments(disk: SimulatedDisk) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'often'"):
        disk.rot(often=True)
