"""The ways in which asyncio and trio programs cancel: timeouts, groups and scopes."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

import asyncuring
from asyncuring import open_file
from tests.held import held_write
from tests.running import is_pinned, run_asyncio, run_uvloop, until_in_flight

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from asyncuring import UringFile
    from asyncuring._runtime import DriverName
    from tests.running import Run

trio = pytest.importorskip("trio")
trio_testing = pytest.importorskip("trio.testing")

newer_asyncio: Any = asyncio  # its types, too, depend on Python's version
since_3_11 = pytest.mark.skipif(sys.version_info < (3, 11), reason="new in Python 3.11")

# Short, for it only has to pass; what is tested is what has ended when it has.
TIMEOUT_S = 0.01


@pytest.fixture(params=[run_asyncio, run_uvloop], ids=["asyncio", "uvloop"])
def run_on_asyncio(request: pytest.FixtureRequest) -> Run:
    run: Run = request.param
    return run


def check_that_nothing_is_left(uring_file: UringFile, buf: bytearray) -> None:
    """The cancelled read has let go of its buffer, and takes nothing from the stream."""
    assert not is_pinned(buf)
    assert asyncuring.statistics().in_flight == 0
    os.write(uring_file.fileno(), b"later")
    assert os.read(uring_file.fileno(), 5) == b"later"
    assert buf == bytes(4)


def test_wait_for_ends_when_the_buffer_is_free(
    run_on_asyncio: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        buf = bytearray(4)
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(uring_file.read_at(buf, 0), TIMEOUT_S)
            check_that_nothing_is_left(uring_file, buf)

    run_on_asyncio(main)


@since_3_11
def test_asyncio_timeout_ends_when_the_buffer_is_free(
    run_on_asyncio: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        buf = bytearray(4)
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            with pytest.raises(TimeoutError):
                async with newer_asyncio.timeout(TIMEOUT_S):
                    await uring_file.read_at(buf, 0)
            check_that_nothing_is_left(uring_file, buf)
            # The task itself was not cancelled, and goes on.
            await asyncio.sleep(0)
            os.write(uring_file.fileno(), b"more")
            assert await uring_file.read_at(buf, 0) == 4

    run_on_asyncio(main)


@since_3_11
def test_a_task_group_ends_when_the_buffers_of_all_are_free(
    run_on_asyncio: Run, driver: DriverName, fifo: Path
) -> None:
    async def fail_with_others_in_flight() -> None:
        await until_in_flight(3)
        raise LookupError

    async def main() -> None:
        bufs = [bytearray(4) for _ in range(3)]
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:

            async def read_in_a_group() -> None:
                async with newer_asyncio.TaskGroup() as group:
                    for buf in bufs:
                        group.create_task(uring_file.read_at(buf, 0))
                    group.create_task(fail_with_others_in_flight())

            with pytest.raises(Exception, match="TaskGroup") as caught:
                await read_in_a_group()
            (error,) = caught.value.args[1]
            assert type(error) is LookupError
            for buf in bufs:
                check_that_nothing_is_left(uring_file, buf)

    run_on_asyncio(main)


def test_gather_that_is_cancelled_waits_for_all(
    run_on_asyncio: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        bufs = [bytearray(4) for _ in range(3)]
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            reads = [asyncio.ensure_future(uring_file.read_at(buf, 0)) for buf in bufs]
            both = asyncio.gather(*reads, return_exceptions=True)
            await until_in_flight(3)
            both.cancel()
            with pytest.raises(asyncio.CancelledError):
                await both
            assert all(read.cancelled() for read in reads)
            for buf in bufs:
                check_that_nothing_is_left(uring_file, buf)

    run_on_asyncio(main)


def test_the_end_of_asyncio_run_waits_for_what_it_cancels(
    run_on_asyncio: Run, driver: DriverName, fifo: Path
) -> None:
    buf = bytearray(4)

    async def main() -> UringFile:
        uring_file = await open_file(fifo, "r+", driver=driver, cached_reads="ring")
        task = asyncio.ensure_future(uring_file.read_at(buf, 0))
        await until_in_flight(1)
        assert not task.done()
        return uring_file

    uring_file = run_on_asyncio(main)
    assert not is_pinned(buf)
    assert asyncuring.statistics().in_flight == 0
    run_on_asyncio(uring_file.aclose)


# -- trio


@pytest.mark.parametrize("scope", [trio.move_on_after, trio.fail_after])
def test_a_trio_timeout_ends_when_the_buffer_is_free(
    driver: DriverName, fifo: Path, scope: Callable[[float], Any]
) -> None:
    """An hour, on a clock that jumps there as soon as every task waits."""

    async def main() -> None:
        buf = bytearray(4)
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            began = trio.current_time()
            try:
                with scope(3600) as cancelled:
                    await uring_file.read_at(buf, 0)
                assert cancelled.cancelled_caught
            except trio.TooSlowError:
                assert scope is trio.fail_after
            assert trio.current_time() - began == pytest.approx(3600)
            check_that_nothing_is_left(uring_file, buf)

    trio.run(main, clock=trio_testing.MockClock(autojump_threshold=0.01))


def test_a_trio_scope_that_is_cancelled_submits_nothing(driver: DriverName, fifo: Path) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            submitted = asyncuring.statistics().ops_submitted
            buf = bytearray(4)
            with trio.CancelScope() as scope:
                scope.cancel()
                await uring_file.read_at(buf, 0)
            assert scope.cancelled_caught
            assert asyncuring.statistics().ops_submitted == submitted
            check_that_nothing_is_left(uring_file, buf)

    trio.run(main)


def test_a_trio_nursery_ends_when_the_buffers_of_all_are_free(
    driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        bufs = [bytearray(4) for _ in range(3)]
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            async with trio.open_nursery() as nursery:
                for buf in bufs:
                    nursery.start_soon(uring_file.read_at, buf, 0)
                await until_in_flight(3)
                nursery.cancel_scope.cancel()
            for buf in bufs:
                check_that_nothing_is_left(uring_file, buf)

    trio.run(main)


def test_a_shielded_trio_read_goes_on(driver: DriverName, fifo: Path) -> None:
    async def main() -> None:
        buf = bytearray(4)
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:

            async def read() -> None:
                with trio.CancelScope(shield=True):
                    assert await uring_file.read_at(buf, 0) == 4

            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                await until_in_flight(1)
                nursery.cancel_scope.cancel()
                for _ in range(3):
                    with trio.CancelScope(shield=True):
                        await trio.lowlevel.checkpoint()
                assert is_pinned(buf)
                os.write(uring_file.fileno(), b"data")
            assert buf == b"data"

    trio.run(main)


def test_leaving_a_file_in_a_cancelled_trio_scope_closes_it(driver: DriverName, fifo: Path) -> None:
    async def main() -> None:
        with trio.CancelScope() as scope:
            async with await open_file(
                fifo, "r+", driver=driver, cached_reads="ring"
            ) as uring_file:
                fd = uring_file.fileno()
                scope.cancel()
                await uring_file.read_at(bytearray(4), 0)
        assert uring_file.closed
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)
        assert asyncuring.statistics().drivers == ()

    trio.run(main)


# -- chains, barriers and logs


async def run_a_chain(uring_file: UringFile, buf: bytearray) -> None:
    async with uring_file.chain() as chain:
        chain.read_exactly_at(buf, 0)
        chain.read_exactly_at(buf, 0)


def test_a_chain_ends_when_its_time_is_over(
    run_on_asyncio: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        buf = bytearray(4)
        async with await open_file(fifo, "r+", driver=driver) as uring_file:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(run_a_chain(uring_file, buf), TIMEOUT_S)
            check_that_nothing_is_left(uring_file, buf)

    run_on_asyncio(main)


def test_a_chain_ends_when_its_scope_does(driver: DriverName, fifo: Path) -> None:
    async def main() -> None:
        buf = bytearray(4)
        async with await open_file(fifo, "r+", driver=driver) as uring_file:
            with pytest.raises(trio.TooSlowError), trio.fail_after(TIMEOUT_S):
                await run_a_chain(uring_file, buf)
            check_that_nothing_is_left(uring_file, buf)

    trio.run(main)


def test_barriers_and_what_is_behind_them_end_when_their_time_is_over(
    run_on_asyncio: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        async with held_write(fifo, driver) as (uring_file, write, let_go):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(uring_file.barrier(), TIMEOUT_S)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(uring_file.write_at(b"2", 0), TIMEOUT_S)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(
                    asyncuring.GroupCommit(uring_file, 0).append(b"3"), TIMEOUT_S
                )
            await let_go()
            assert await write.join() == 1

    run_on_asyncio(main)


def test_barriers_and_what_is_behind_them_end_with_their_scope(
    driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        async with held_write(fifo, driver) as (uring_file, write, let_go):
            log = asyncuring.GroupCommit(uring_file, 0)
            for wait in (uring_file.barrier, lambda: log.append(b"3")):
                with pytest.raises(trio.TooSlowError), trio.fail_after(TIMEOUT_S):
                    await wait()
            await let_go()
            assert await write.join() == 1

    trio.run(main)
