"""Drivers come with the first file and go with the last; what they count; what is forgotten."""

from __future__ import annotations

import dataclasses
import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import asyncuring
from asyncuring import UringFile, open_file
from tests.running import Task, is_pinned, until, until_in_flight
from tests.scripts import output_of

if TYPE_CHECKING:
    from asyncuring._runtime import DriverName
    from tests.running import Run


def threads() -> int:
    """Ours, by their name: the kernel's own workers for a ring come and go as they like."""
    names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    return names.count("asyncuring")


def test_importing_starts_nothing() -> None:
    counted = "print(native_threads(), asyncuring.statistics().drivers)"
    assert output_of(counted, "", "") == "1 ()\n"


def test_trio_is_not_imported_before_the_program_does_so(driver: DriverName, file: Path) -> None:
    source = """
    async def main():
        async with await asyncuring.open_file(path, driver=driver) as uring_file:
            print(await uring_file.read_at(bytearray(8), 0), "trio" in sys.modules)
    asyncio.run(main())
    """
    assert output_of(source, driver, file) == "8 False\n"


def test_a_driver_lives_from_the_first_file_to_the_last(
    run: Run, driver: DriverName, file: Path
) -> None:
    # A thread that was joined is listed for a moment longer.
    assert any(threads() == 0 for _ in range(100_000))

    async def main() -> None:
        first = await open_file(file, driver=driver, cached_reads="ring")
        during = threads()
        assert (during == 0) == (driver == "uring-local")
        second = await open_file(file, driver=driver, cached_reads="ring")
        assert threads() == during
        await first.aclose()
        assert threads() == during
        assert asyncuring.statistics().driver == driver
        await second.aclose()
        assert asyncuring.statistics().drivers == ()
        assert any(threads() == 0 for _ in range(100_000))

    run(main)
    run(main)


def test_a_file_that_cannot_be_opened_leaves_no_driver(
    run: Run, driver: DriverName, tmp_path: Path
) -> None:
    async def main() -> None:
        with pytest.raises(FileNotFoundError):
            await open_file(tmp_path / "missing", driver=driver, cached_reads="ring")
        assert asyncuring.statistics().drivers == ()

    run(main)


def test_statistics_count_what_was_done(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=driver, cached_reads="ring") as uring_file:
            before = asyncuring.statistics()
            for number in range(10):
                await uring_file.read_at(bytearray(8), number)
            await uring_file.write_at(b"x", 0)
            await uring_file.fsync()
            after = asyncuring.statistics()
        assert after.ops_submitted - before.ops_submitted == 12
        assert (after.in_flight, after.backlog) == (0, 0)
        assert after.wakeups >= before.wakeups
        assert (after.enters > before.enters) == (driver != "threads")
        (one,) = after.drivers
        assert (one.driver, one.loops) == (driver, 1)
        # Where the loop's own thread does it, nobody wakes a loop for what the page cache has.
        assert one.rings > 0 or driver == "uring-local"
        with pytest.raises(dataclasses.FrozenInstanceError):
            after.drivers = ()  # type: ignore[misc]

    run(main)


def test_statistics_of_nothing_are_zero() -> None:
    now = asyncuring.statistics()
    assert (now.driver, now.reason, now.drivers) == (None, None, ())
    assert now.ops_submitted == now.in_flight == now.backlog == now.enters == now.wakeups == 0


def test_ops_of_loops_that_have_ended_still_count(run: Run, driver: DriverName, file: Path) -> None:
    async def use(uring_file: UringFile) -> int:
        await uring_file.read_at(bytearray(8), 0)
        return asyncuring.statistics().ops_submitted

    async def open_it() -> UringFile:
        return await open_file(file, driver=driver, cached_reads="ring")

    async def close_it() -> None:
        await uring_file.aclose()

    uring_file = run(open_it)
    assert [run(use, uring_file) for _ in range(3)] == [2, 3, 4]
    run(close_it)


# -- forgotten files


def test_an_unclosed_file_is_complained_of_and_closed(
    run: Run, driver: DriverName, file: Path
) -> None:
    async def main() -> None:
        uring_file = await open_file(file, driver=driver, cached_reads="ring")
        fd = uring_file.fileno()
        with pytest.warns(ResourceWarning, match="unclosed file") as caught:
            del uring_file
        assert str(file) in str(caught[0].message)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)
        await until(lambda: asyncuring.statistics().drivers == ())

    run(main)


def test_a_complaint_that_is_an_error_does_not_keep_the_file_open(
    run: Run, driver: DriverName, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaints: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda said: complaints.append(str(said.exc_value)))

    async def main() -> None:
        uring_file = await open_file(file, driver=driver, cached_reads="ring")
        fd = uring_file.fileno()
        del uring_file
        assert complaints == [f"unclosed file {str(file)!r}, fd {fd}"]
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)

    run(main)


@pytest.mark.parametrize("loop", ["asyncio", "asyncio-debug", "uvloop"])
def test_an_unclosed_file_stays_open_while_it_has_ops_in_flight(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        buf = bytearray(4)
        uring_file = await open_file(fifo, "r+", driver=driver, cached_reads="ring")
        fd = uring_file.fileno()
        # The coroutine would keep the file: what keeps the op is the kernel's having it.
        read = uring_file.read_at(buf, 0)
        read.send(None)
        await until_in_flight(1)
        read.close()
        del read
        with pytest.warns(ResourceWarning, match="unclosed file"):
            del uring_file
        # The destroyed task's op is asked to end, but so far the kernel has it.
        assert is_pinned(buf)
        os.fstat(fd)
        await until(lambda: asyncuring.statistics().drivers == ())
        assert not is_pinned(buf)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)

    run(main)


def test_a_file_forgotten_by_an_ended_loop_is_closed(
    run: Run, driver: DriverName, file: Path
) -> None:
    async def main() -> UringFile:
        return await open_file(file, driver=driver, cached_reads="ring")

    def forget() -> None:
        files.clear()
        gc.collect()  # trio keeps what its main task returned in a cycle

    files = [run(main)]
    with pytest.warns(ResourceWarning, match="unclosed file"):
        forget()
    assert asyncuring.statistics().drivers == ()


def test_closing_at_once_from_two_tasks_closes_once(
    run: Run, driver: DriverName, file: Path
) -> None:
    async def main() -> None:
        uring_file = await open_file(file, driver=driver, cached_reads="ring")
        tasks = [Task.start(uring_file.aclose) for _ in range(3)]
        for task in tasks:
            await task.join()
        assert uring_file.closed

    run(main)


def test_what_close_says_is_raised_and_the_file_is_closed(
    run: Run, driver: DriverName, file: Path
) -> None:
    async def main() -> None:
        uring_file = await open_file(file, driver=driver, cached_reads="ring")
        os.close(uring_file.fileno())  # by mistake: close(2) has something to say
        with pytest.raises(OSError, match="Bad file descriptor") as caught:
            await uring_file.aclose()
        assert caught.value.filename == str(file)
        assert uring_file.closed

    run(main)


# -- limits


def test_more_loops_than_a_driver_serves_are_refused(driver: DriverName, file: Path) -> None:
    source = """
    async def main():
        return await asyncuring.open_file(path, driver=driver, cached_reads="ring")
    loops = [asyncio.new_event_loop() for _ in range(129)]
    files = []
    try:
        for loop in loops:
            files.append(loop.run_until_complete(main()))
    except OSError as error:
        print(len(files), error.strerror)
    for loop, file in zip(loops, files):
        loop.run_until_complete(file.aclose())
    for loop in loops:
        loop.close()
    print(asyncuring.statistics().drivers)
    """
    assert output_of(source, driver, file) == (
        "128 too many event loops use asyncuring in this process\n()\n"
    )


def test_threads_that_cannot_start_are_an_error(file: Path) -> None:
    source = """
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))
    held = []
    async def main():
        try:
            while True:
                held.append(os.dup(0))
        except OSError:
            pass
        try:
            await asyncuring.open_file(path, driver="threads")
        except OSError as error:
            print(error)
        held.clear()
    asyncio.run(main())
    """
    said = output_of(source, "", file)
    assert said.startswith("[Errno 24] cannot start ")
    assert said.endswith("Too many open files\n")
