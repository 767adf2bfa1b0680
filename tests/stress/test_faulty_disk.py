"""A disk that fails and stalls: the right errno on the right op, and nobody else notices.

The file system is one of FUSE's (faulty_fs.py), so each failure takes the kernel's own road, and a
stall lasts until the test ends it. What goes on meanwhile is told by what is done, not by the time.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest

from asyncuring import open_file
from asyncuring._runtime import DEPTH
from tests.held import begin_closing
from tests.running import (
    CancelledTaskError,
    Task,
    checkpoints,
    gather,
    until,
    until_in_backlog,
    until_in_flight,
)
from tests.stress.faulty import FaultySystem, faulty_system

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from asyncuring import Chain, UringFile
    from asyncuring._runtime import DriverName
    from tests.running import Run

SIZE = 64 * 1024
BLOCK = 4096
ROUNDS = 50


@pytest.fixture(params=["asyncio", "trio"])
def loop(request: pytest.FixtureRequest) -> str:
    """What a disk does has to do with the loop where tasks wait and are cancelled: on each kind."""
    return str(request.param)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[FaultySystem]:
    with faulty_system(tmp_path / "faulty", sick=2, healthy=3) as system:
        yield system


@pytest.fixture
def note(
    note_attack: Callable[..., None], driver: DriverName, loop: str
) -> Callable[[str, str, str], None]:
    """Note what was tried on this driver and loop, and what came out."""
    return lambda what, tried, outcome: note_attack(
        "bad disk", f"FUSE: {what}", f"{driver}, {loop}", tried, outcome
    )


def errno_of(result: object) -> int | None:
    return result.errno if isinstance(result, OSError) else None


async def outcome_of(operation: Any) -> object:
    """The result of an operation, or the error that it raised."""
    try:
        return await operation
    except OSError as error:
        return error


async def go_on(uring_file: UringFile, driver: DriverName) -> None:
    """Write, read, sync and look at a healthy file: each is done, whatever stalls elsewhere."""
    for number in range(ROUNDS):
        block, back = bytes([number]) * BLOCK, bytearray(BLOCK)
        await uring_file.write_all_at(block, 0)
        await uring_file.read_exactly_at(back, 0)
        assert back == block
    await uring_file.fdatasync()
    assert (await uring_file.stat()).size == SIZE
    async with await open_file(uring_file.name, driver=driver) as other:
        await other.read_exactly_at(bytearray(BLOCK), 0)


def healthy_file(tmp_path: Path) -> Path:
    path = tmp_path / "healthy"
    path.write_bytes(bytes(SIZE))
    return path


@pytest.mark.parametrize("kind", ["read", "write"])
def test_the_operation_that_failed_is_told_and_no_other(
    run: Run, driver: DriverName, disk: FaultySystem, kind: str, note: Callable[..., None]
) -> None:
    async def main() -> None:
        async with (
            await open_file(disk.folder / "sick", "r+", driver=driver) as sick,
            await open_file(disk.folder / "healthy", "r+", driver=driver) as healthy,
        ):

            async def one(number: int) -> object:
                uring_file = sick if number % 2 else healthy
                operation = uring_file.read_at if kind == "read" else uring_file.write_at
                return await outcome_of(operation(bytearray(BLOCK), number // 2 * BLOCK))

            disk.tell(f"fail {kind} sick 3 EIO")
            results = await gather(one, 20)
            failed = [number for number, result in enumerate(results) if result != BLOCK]
            assert [errno_of(results[number]) for number in failed] == [errno.EIO]
            assert failed[0] % 2 == 1
            assert str(disk.folder / "sick") in str(results[failed[0]])
            assert await one(failed[0]) == BLOCK

    run(main)
    note(f"EIO on the third {kind}", "20 at once, on two files", "1 EIO, of that file; 19 served")


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_a_sync_that_fails_is_told(
    run: Run, driver: DriverName, disk: FaultySystem, error: str, note: Callable[..., None]
) -> None:
    async def main() -> None:
        async with await open_file(disk.folder / "sick", "r+", driver=driver) as sick:
            for sync in (sick.fsync, sick.fdatasync):
                await sick.write_all_at(b"page", 0)
                disk.tell(f"fail fsync sick 1 {error}")
                assert errno_of(await outcome_of(sync())) == getattr(errno, error)
                assert await outcome_of(sync()) is None

    run(main)
    note(f"{error} on a sync", "fsync and fdatasync", f"{error} from that sync alone")


async def write_page_and_mark(chain: Chain) -> None:
    async with chain:
        chain.write_all_at(b"page", 0)
        chain.fdatasync()
        chain.write_all_at(b"mark", BLOCK)


@pytest.mark.parametrize("kind", ["write", "fsync"])
def test_a_chain_stops_where_a_step_fails(
    run: Run, driver: DriverName, disk: FaultySystem, kind: str, note: Callable[..., None]
) -> None:
    async def main() -> None:
        mark = bytearray(4)
        async with await open_file(disk.folder / "sick", "r+", driver=driver) as sick:
            disk.tell(f"fail {kind} sick 1 EIO")
            chain = sick.chain()
            error = await outcome_of(write_page_and_mark(chain))
            assert errno_of(error) == errno.EIO
            failed = ["write", "fsync"].index(kind)
            assert chain.steps[failed].error is error
            assert [step.skipped for step in chain.steps] == [False, failed == 0, True]
            await sick.read_exactly_at(mark, BLOCK)
        assert mark == bytes(4)

    run(main)
    note(f"EIO on the {kind} in a chain", "write, sync, write", "EIO; what is behind never began")


def test_an_open_and_a_close_that_fail_are_told_and_leave_nothing_behind(
    run: Run, driver: DriverName, disk: FaultySystem, note: Callable[..., None]
) -> None:
    async def main() -> None:
        disk.tell("fail open sick 1 EIO")
        opening = await outcome_of(open_file(disk.folder / "sick", "r+", driver=driver))
        assert errno_of(opening) == errno.EIO
        assert str(disk.folder / "sick") in str(opening)
        disk.tell("fail flush sick 1 ENOSPC")
        sick = await open_file(disk.folder / "sick", "r+", driver=driver)
        assert errno_of(await outcome_of(sick.aclose())) == errno.ENOSPC
        assert sick.closed

    run(main)
    note("EIO on open, ENOSPC on close", "2 files", "each told, with its path; no descriptor left")


@pytest.mark.parametrize("kind", ["read", "write", "fsync"])
def test_others_go_on_while_one_file_stalls(  # noqa: PLR0913, PLR0917
    run: Run,
    driver: DriverName,
    disk: FaultySystem,
    tmp_path: Path,
    kind: str,
    note: Callable[..., None],
) -> None:
    async def main() -> None:
        async with (
            await open_file(disk.folder / "sick", "r+", driver=driver) as sick,
            await open_file(disk.folder / "healthy", "r+", driver=driver) as neighbour,
            await open_file(healthy_file(tmp_path), "r+", driver=driver) as healthy,
        ):

            async def stalling(number: int) -> object:
                if kind == "fsync":
                    await sick.fsync()
                    return None
                operation = sick.read_at if kind == "read" else sick.write_at
                return await operation(bytearray(BLOCK), number * BLOCK)

            # The kernel lets one write, or sync, of a file in at a time. And `threads` has four
            # threads at least.
            count = 3 if kind == "read" else 1
            disk.tell(f"stall {kind} sick")
            stalled = [Task.start(stalling, number) for number in range(count)]
            await disk.until_stalled(count)
            for uring_file in (healthy, neighbour):
                await go_on(uring_file, driver)
            assert disk.counts()[0] == count
            assert not any(task.done for task in stalled)
            disk.tell("release")
            expected = None if kind == "fsync" else BLOCK
            assert [await task.join() for task in stalled] == [expected] * count

    run(main)
    note(
        f"a {kind} that stalls",
        f"{2 * ROUNDS} writes and reads of two other files, a sync, a stat and an open of each",
        "all done while it stalled; it ended when it was let go",
    )


def test_others_go_on_while_nobody_can_look_what_a_file_is(
    run: Run, driver: DriverName, disk: FaultySystem, tmp_path: Path, note: Callable[..., None]
) -> None:
    """Nothing but `stat` needs to, and a copy within a file; those wait alone."""

    async def main() -> None:
        async with await open_file(healthy_file(tmp_path), "r+", driver=driver) as healthy:
            disk.tell("stall getattr sick")
            async with await open_file(disk.folder / "sick", "r+", driver=driver) as sick:
                await write_page_and_mark(sick.chain())
                looking: list[Task[Any]] = [
                    Task.start(sick.stat),
                    Task.start(outcome_of, sick.copy_range(0, sick, BLOCK, BLOCK)),
                ]
                await disk.until_stalled(2)
                await go_on(healthy, driver)
                assert not any(task.done for task in looking)
                disk.tell("release")
                for task in looking:
                    await task.join()

    run(main)
    note(
        "a getattr that stalls",
        f"an open, a chain, a stat, a copy; {ROUNDS} writes and reads of another file meanwhile",
        "all done but the stat and the copy, which ended when they were let go",
    )


def test_others_go_on_while_an_open_stalls(
    run: Run, driver: DriverName, disk: FaultySystem, tmp_path: Path, note: Callable[..., None]
) -> None:
    async def main() -> None:
        async with (
            await open_file(disk.folder / "sick", "r+", driver=driver),
            await open_file(healthy_file(tmp_path), "r+", driver=driver) as healthy,
        ):
            disk.tell("stall open sick")
            opening = Task.start(lambda: open_file(disk.folder / "sick", "r+", driver=driver))
            await disk.until_stalled(1)
            await go_on(healthy, driver)
            assert not opening.done
            disk.tell("release")
            await (await opening.join()).aclose()

    run(main)
    note("an open that stalls", f"{ROUNDS} writes and reads of another file", "all done meanwhile")


def test_cancelling_what_stalls_ends_when_the_kernel_lets_go_and_the_backlog_at_once(
    run: Run, loop: str, driver: DriverName, disk: FaultySystem, note: Callable[..., None]
) -> None:
    async def main() -> None:
        async with await open_file(disk.folder / "sick", "r+", driver=driver) as sick:
            disk.tell("stall read sick")
            held = [Task.start(sick.read_at, bytearray(BLOCK), 0) for _ in range(DEPTH)]
            await until_in_flight(DEPTH)
            waiting = [Task.start(sick.read_at, bytearray(BLOCK), 0) for _ in range(10)]
            await until_in_backlog(10)
            await disk.until(lambda: disk.counts()[0] > 0)
            for task in waiting:
                task.cancel()
            await until(lambda: all(task.done for task in waiting))
            assert not any(task.done for task in held)

            for task in held:
                task.cancel()
            if driver == "threads":  # the cancels wait behind the reads, for a thread that is free
                await checkpoints(100)
                assert not any(task.done for task in held)
            else:  # of what the file system has got it is told; the kernel drops the rest

                def settled() -> bool:
                    stalled, interrupted = disk.counts()
                    return stalled == interrupted == sum(not task.done for task in held)

                await disk.until(settled)
                assert any(task.done for task in held)
            closing = await begin_closing(sick)
            await checkpoints(100)
            assert not closing.done
            disk.tell("release")
            await closing.join()
            ends = [await outcome_of_task(task) for task in (*held, *waiting)]
            assert ends[DEPTH:] == ["cancelled"] * 10
            assert set(ends) <= {"cancelled", BLOCK}
            assert loop == "trio" or BLOCK not in ends

    run(main)
    note(
        "cancelled while it stalls",
        f"{DEPTH} reads in the kernel, 10 in the backlog",
        "backlog: ended at once; in the kernel: when it let go"
        + ("" if driver == "threads" else ", or at once where it had not begun"),
    )


async def outcome_of_task(task: Task[int]) -> object:
    try:
        return await task.join()
    except CancelledTaskError:
        return "cancelled"


def test_a_disk_that_goes_away_fails_what_stalls_on_it(
    run: Run, driver: DriverName, disk: FaultySystem, tmp_path: Path, note: Callable[..., None]
) -> None:
    async def main() -> None:
        sick = await open_file(disk.folder / "sick", "r+", driver=driver)
        async with await open_file(healthy_file(tmp_path), "r+", driver=driver) as healthy:
            disk.tell("stall read sick")
            reads = [Task.start(outcome_of, sick.read_at(bytearray(1), 0)) for _ in range(4)]
            await disk.until_stalled(4)
            disk.end()
            ends = {errno_of(await task.join()) for task in reads}
            assert ends <= {errno.ENOTCONN, errno.ECONNABORTED}
            for operation in (sick.write_at(b"1", 0), sick.fsync(), sick.aclose()):
                assert errno_of(await outcome_of(operation)) == errno.ENOTCONN
            assert sick.closed
            await go_on(healthy, driver)

    run(main)
    note(
        "its program ends", "4 reads that stall", "ENOTCONN or ECONNABORTED; others served; closed"
    )
