"""Several event loops: in several threads, on one file, one after the other, and none at all."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

import asyncuring
from asyncuring import ClosedFileError, UringFile, open_file
from tests.conftest import PATTERN
from tests.held import begin_closing, in_flight
from tests.running import (
    LOOPS,
    forget,
    gather,
    in_trio,
    is_pinned,
    until,
    until_in_flight,
)
from tests.scripts import output_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run

THREADS = 4


def in_thread(run: Run, main: Callable[..., Any], *args: Any) -> Any:
    """Start `main` on a loop in a thread of its own; `.result()` waits for it."""
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(run, main, *args)
    finally:
        pool.shutdown(wait=False)


async def read_much(uring_file: UringFile) -> int:
    async def read(number: int) -> int:
        buf = bytearray(64)
        for off in range(number, len(PATTERN) - 64, 1500):
            await uring_file.read_exactly_at(buf, off)
            assert buf == PATTERN[off : off + 64]
        return 1

    return sum(await gather(read, 30))


def test_loops_in_several_threads_share_a_driver(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> int:
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:
            return await read_much(uring_file)

    running = [in_thread(run, main) for _ in range(THREADS)]
    assert [one.result() for one in running] == [30] * THREADS


def test_loops_of_every_kind_share_one_file(driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:
            running = [in_thread(run, read_much, uring_file) for run in LOOPS.values()]
            assert await read_much(uring_file) == 30
            await until(lambda: all(one.done() for one in running))
            assert [one.result() for one in running] == [30] * len(LOOPS)
            assert asyncuring.statistics().drivers[0].loops >= 1

    LOOPS["asyncio"](main)


def test_closing_waits_for_ops_of_other_loops(run: Run, driver: DriverName, fifo: Path) -> None:
    buf = bytearray(4)
    began = threading.Event()

    async def read(uring_file: UringFile) -> int:
        task = await in_flight(uring_file.read_at, buf, 0)
        began.set()
        return await task.join()

    async def main() -> None:
        uring_file = await open_file(fifo, "r+", driver=driver, cached_reads="ring")
        fd = os.dup(uring_file.fileno())
        other = in_thread(run, read, uring_file)
        await until(began.is_set)
        closing = await begin_closing(uring_file)
        assert is_pinned(buf)
        assert not closing.done
        os.write(fd, b"last")
        await closing.join()
        await until(other.done)
        assert other.result() == 4
        assert buf == b"last"
        os.close(fd)

    run(main)


def test_cancelled_closing_cancels_ops_of_other_loops(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    began = threading.Event()

    async def read(uring_file: UringFile) -> None:
        task = await in_flight(uring_file.read_at, bytearray(4), 0)
        began.set()
        with pytest.raises(ClosedFileError):
            await task.join()

    async def main() -> None:
        uring_file = await open_file(fifo, "r+", driver=driver, cached_reads="ring")
        other = in_thread(run, read, uring_file)
        await until(began.is_set)
        closing = await begin_closing(uring_file)
        closing.cancel()
        await until(lambda: closing.done)
        await until(other.done)
        assert other.result() is None

    run(main)


def test_a_file_serves_one_loop_after_the_other(run: Run, driver: DriverName, file: Path) -> None:
    async def open_it() -> UringFile:
        uring_file = await open_file(file, driver=driver, cached_reads="ring")
        assert await read_much(uring_file) == 30
        return uring_file

    async def close_it() -> None:
        assert await read_much(uring_file) == 30
        assert asyncuring.statistics().drivers[0].loops == 1
        await uring_file.aclose()

    uring_file = run(open_it)
    assert run(read_much, uring_file) == 30
    run(close_it)


def left_in_flight(fifo: Path, driver: DriverName, buf: bytearray) -> UringFile:
    """Leave a read of `fifo` in flight, in a loop that is closed without a word to its tasks."""
    loop = asyncio.new_event_loop()
    uring_file = loop.run_until_complete(open_file(fifo, "r+", driver=driver, cached_reads="ring"))
    task = loop.create_task(uring_file.read_at(buf, 0))
    loop.run_until_complete(until_in_flight(1))
    loop.close()
    forget(task)
    return uring_file


def test_ops_of_a_loop_that_was_closed_keep_their_buffer_until_they_are_cancelled(
    driver: DriverName, fifo: Path
) -> None:
    buf = bytearray(4)
    uring_file = left_in_flight(fifo, driver, buf)
    assert is_pinned(buf)
    # Nobody runs that loop any more: each look at the library takes care of it.
    looks = (asyncuring.statistics().in_flight for _ in range(100_000))
    assert 0 in looks
    assert not is_pinned(buf)
    LOOPS["asyncio"](uring_file.aclose)


def test_ops_of_a_thread_that_has_ended_are_drained_by_another(
    driver: DriverName, fifo: Path
) -> None:
    buf = bytearray(4)
    leaver = ThreadPoolExecutor(1)
    uring_file = leaver.submit(left_in_flight, fifo, driver, buf).result()
    leaver.shutdown()  # with that thread the kernel loses whom it would have told
    assert 0 in (asyncuring.statistics().in_flight for _ in range(100_000))
    assert not is_pinned(buf)
    LOOPS["asyncio"](uring_file.aclose)


def test_a_file_is_closed_although_a_loop_was_closed_before(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    buf = bytearray(4)
    uring_file = left_in_flight(fifo, driver, buf)
    run(uring_file.aclose)
    assert uring_file.closed
    assert not is_pinned(buf)


def test_outside_a_loop_everything_is_refused(driver: DriverName, file: Path) -> None:
    async def open_it() -> UringFile:
        return await open_file(file, "r+", driver=driver, cached_reads="ring")

    def step(coroutine: Coroutine[Any, Any, Any]) -> None:
        try:
            coroutine.send(None)
        finally:
            coroutine.close()

    uring_file = LOOPS["asyncio"](open_it)
    for coroutine in [
        uring_file.read_at(bytearray(1), 0),
        uring_file.write_at(b"no", 0),
        uring_file.fsync(),
        uring_file.aclose(),
        open_file(file, driver=driver, cached_reads="ring"),
    ]:
        with pytest.raises(RuntimeError, match="needs a running asyncio or trio task"):
            step(coroutine)
    assert not uring_file.closed
    LOOPS["asyncio"](uring_file.aclose)
    assert file.read_bytes() == PATTERN


def test_a_callback_is_no_task(driver: DriverName, file: Path) -> None:
    async def main() -> None:
        seen: list[BaseException] = []

        def callback() -> None:
            coroutine = open_file(file, driver=driver, cached_reads="ring")
            try:
                coroutine.send(None)
            except RuntimeError as error:
                seen.append(error)

        asyncio.get_running_loop().call_soon(callback)
        await until(lambda: seen)
        assert "needs a running asyncio or trio task" in str(seen[0])

    LOOPS["asyncio"](main)


def test_trio_as_a_guest_of_asyncio_reads_from_trio_tasks(driver: DriverName, file: Path) -> None:
    trio = pytest.importorskip("trio")

    async def guest() -> int:
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:
            return await read_much(uring_file)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        trio.lowlevel.start_guest_run(
            guest,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=done.set_result,
            host_uses_signal_set_wakeup_fd=True,
        )
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:
            assert await read_much(uring_file) == 30
        assert (await done).unwrap() == 30

    LOOPS["asyncio"](main)


def test_work_that_asks_for_work_at_the_end_of_a_tick_is_not_slept_over(run: Run) -> None:
    from asyncuring._loops import running_loop

    async def main() -> None:
        loop = running_loop()
        assert loop is not None
        event: Any = asyncio.Event()
        if in_trio():
            import trio

            event = trio.Event()
        silent, other_end = os.pipe()
        loop.watch(silent, lambda: None, lambda: True)
        loop.at_tick_end(lambda: loop.at_tick_end(lambda: loop.call_threadsafe(event.set)))
        await event.wait()  # nothing else is going to wake this loop
        loop.unwatch(silent)
        os.close(silent)
        os.close(other_end)

    run(main)


@pytest.mark.parametrize("loop_name", ["asyncio", "uvloop"])
def test_tasks_of_one_batch_survive_the_interrupt_of_another(
    loop_name: str, driver: DriverName, file: Path
) -> None:
    loop: asyncio.AbstractEventLoop
    if loop_name == "uvloop":
        loop = pytest.importorskip("uvloop").new_event_loop()
    else:
        loop = asyncio.new_event_loop()

    async def read(uring_file: UringFile, number: int) -> int:
        count = await uring_file.read_at(bytearray(1), number)
        if number == 0:
            raise KeyboardInterrupt
        return count

    uring_file = loop.run_until_complete(open_file(file, driver=driver, cached_reads="ring"))
    tasks = [loop.create_task(read(uring_file, number)) for number in range(100)]
    # The loop passes the interrupt on and can be run again, as at an interactive prompt.
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(asyncio.wait(tasks))
    assert loop.run_until_complete(asyncio.gather(*tasks[1:])) == [1] * 99
    assert isinstance(tasks[0].exception(), KeyboardInterrupt)
    loop.run_until_complete(uring_file.aclose())
    loop.close()


@pytest.mark.parametrize("loop_of", ["asyncio", "trio"])
def test_a_loop_starts_where_nothing_can_be_imported_any_more(
    driver: DriverName, file: Path, loop_of: str
) -> None:
    """As in a process that gave up its rights first; asyncuring was imported before trio, too."""
    source = f"""
    import {loop_of}

    async def main():
        async with await asyncuring.open_file(path, "r+", driver=driver) as uring_file:
            buf = bytearray(4)
            await uring_file.read_exactly_at(buf, 0)
            await uring_file.write_all_at(buf, 4)
            async with uring_file.chain() as chain:
                chain.write_all_at(buf, 8)
                chain.fdatasync()
            print(bytes(buf), (await uring_file.stat()).size == os.path.getsize(path))

    sys.meta_path.clear()
    {loop_of}.run(main{"()" if loop_of == "asyncio" else ""})
    """
    assert output_of(source, driver, file) == f"{PATTERN[:4]!r} True\n"
    assert file.read_bytes()[:12] == PATTERN[:4] * 3


def test_a_loader_that_gives_no_code(driver: DriverName, file: Path) -> None:
    """As pytest's, which writes assertions anew: trio is served all the same."""
    pytest.importorskip("trio")
    source = """
    from importlib.abc import Loader
    from importlib.machinery import PathFinder
    class Bare(Loader):
        def __init__(self, loader):
            self.create_module, self.exec_module = loader.create_module, loader.exec_module
    class Finder(PathFinder):
        @classmethod
        def find_spec(cls, *args):
            spec = super().find_spec(*args)
            if spec is not None and spec.name.startswith("asyncuring."):
                spec.loader = Bare(spec.loader)
            return spec
    for name in [name for name in sys.modules if name.partition(".")[0] == "asyncuring"]:
        if not name.startswith("asyncuring._native"):  # C
            del sys.modules[name]
    sys.meta_path.insert(0, Finder)
    import asyncuring, trio
    async def main():
        async with await asyncuring.open_file(path, driver=driver) as file:
            print(await file.read_at(bytearray(8), 0))
    trio.run(main)
    """
    assert output_of(source, driver, file) == "8\n"
