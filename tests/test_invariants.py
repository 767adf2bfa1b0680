"""The invariants of the design, one by one; each test names its own.

Number 3 has more tests in test_cancellation.py, 8 in test_unavailable.py, 10 in test_fork.py, and
5 in test_exit.py; 12 is in test_registered_buffers.py. The native stress programs look at 1, 6, 7
and 12 from below.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import random
import re
import select
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import ref

import pytest

import asyncuring
from asyncuring import ClosedFileError, UringFile, open_file
from asyncuring import _runtime as runtime
from asyncuring._proactor import Proactor
from asyncuring._runtime import DEPTH
from tests.conftest import PATTERN
from tests.held import begin_closing, in_flight
from tests.running import (
    LOOPS,
    CancelledTaskError,
    Task,
    checkpoint,
    gather,
    is_pinned,
    until,
    until_in_backlog,
    until_in_flight,
)
from tests.scripts import output_of

if TYPE_CHECKING:
    from asyncuring._runtime import DriverName
    from tests.running import Run

LIBRARY = Path(asyncuring.__file__).parent

# Of the library: what one reap takes at most.
REAP_LIMIT = 32


def the_proactor(driver: DriverName) -> Proactor:
    """The only one that `driver` has now."""
    (proactor,) = runtime._in_use[driver].proactors.values()
    return proactor


@pytest.mark.usefixtures("no_switches")
def test_invariant_01_the_ring_thread_never_takes_the_gil(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    """An op is carried out and delivered while this thread sits in C and keeps the GIL.

    Calls through PyDLL keep it; a driver that needed it would never ring, and poll(2) time out.
    """
    holding_the_gil = ctypes.PyDLL(None, use_errno=True)

    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            buf = bytearray(4)
            read = await in_flight(uring_file.read_at, buf, 0)
            await checkpoint()
            bell = ctypes.create_string_buffer(
                struct.pack("=ihh", the_proactor(driver)._port.fd, select.POLLIN, 0)
            )
            assert holding_the_gil.write(uring_file.fileno(), b"data", 4) == 4
            assert holding_the_gil.poll(bell, 1, 10_000) == 1
            assert bytes(buf) == b"data"
            assert not read.done  # no Python has run meanwhile: the task knows nothing yet
            assert await read.join() == 4

    run(main)


def test_invariant_02_an_op_is_in_exactly_one_place(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    """In each tick the backlog, what is in flight, and what is done add up to what was asked."""
    asked = DEPTH + 50

    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            ended = 0

            async def read(_number: int) -> None:
                nonlocal ended
                with suppress(CancelledTaskError):
                    await uring_file.read_at(bytearray(1), 0)
                ended += 1

            proactor = the_proactor(driver)
            tasks = [Task.start(read, number) for number in range(asked)]
            await until_in_backlog(50)
            os.write(uring_file.fileno(), bytes(asked))
            account = next(iter(uring_file._accounts.values()))
            while not all(task.done for task in tasks):
                places = [*(op[0] for op in proactor.flows.ops()), *proactor._in_flight.values()]
                assert len(set(places)) == len(places) == account.ops
                # A task whose op is done resumes one tick later.
                assert account.ops + ended <= asked
                await checkpoint()
            assert (account.ops, ended) == (0, asked)

    run(main)


def test_invariant_03_no_await_ends_while_the_kernel_can_touch_its_buffer(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            buf = bytearray(8)
            at_the_end: list[tuple[int, bool]] = []

            async def read() -> None:
                try:
                    await uring_file.read_at(buf, 0)
                finally:
                    now = asyncuring.statistics()
                    at_the_end.append((now.in_flight, is_pinned(buf)))

            task = await in_flight(read)
            for _ in range(3):
                task.cancel()
                await checkpoint()
            with pytest.raises(CancelledTaskError):
                await task.join()
            assert at_the_end == [(0, False)]
            # And nothing is left in the kernel that could take what comes now.
            os.write(uring_file.fileno(), b"for none")
            assert os.read(uring_file.fileno(), 8) == b"for none"
            assert buf == bytes(8)

    run(main)


def test_invariant_04_an_fd_is_never_closed_while_an_op_names_it(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        uring_file = await open_file(fifo, "r+", driver=driver, cached_reads="ring")
        fd = uring_file.fileno()
        reads = [Task.start(uring_file.read_at, bytearray(1), 0) for _ in range(DEPTH + 5)]
        await until_in_backlog(5)
        closing = await begin_closing(uring_file)
        os.write(fd, bytes(DEPTH + 5))
        while not all(read.done for read in reads):
            # Asked in each tick; an op has ended before its task has.
            assert os.fstat(fd)
            await checkpoint()
        await closing.join()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)

    run(main)


class Watched(bytearray):
    """A buffer that can be seen going away."""


def test_invariant_05_a_buffer_stays_pinned_when_its_task_file_and_loop_go_away_first(
    driver: DriverName, fifo: Path
) -> None:
    buf = Watched(4)
    watched = ref(buf)
    loop = asyncio.new_event_loop()
    uring_file = loop.run_until_complete(open_file(fifo, "r+", driver=driver, cached_reads="ring"))
    reads = [uring_file.read_at(buf, 0)]

    async def begin() -> None:
        reads[0].send(None)
        await until_in_flight(1)

    loop.run_until_complete(begin())
    reads.pop().close()
    assert is_pinned(buf)
    del buf
    with pytest.warns(ResourceWarning, match="unclosed file"):
        del uring_file
    loop.close()
    del loop
    gc.collect()
    assert watched() is not None
    # It goes when the kernel has let go, and not because nobody is left who cares.
    proactor = the_proactor(driver)
    while proactor.in_flight:
        assert watched() is not None
        asyncuring.statistics()
    assert watched() is None
    while not proactor.is_quiet:  # its cancel may end later
        asyncuring.statistics()


def test_invariant_06_nothing_submitted_is_ever_lost(driver: DriverName, file: Path) -> None:
    """Four loops, each with three times the ops that it may have in the kernel."""
    asked = 3 * DEPTH

    async def main() -> int:
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:

            async def read(number: int) -> int:
                buf = bytearray(8)
                await uring_file.read_exactly_at(buf, number)
                assert buf == PATTERN[number : number + 8]
                if number % 16 == 0:  # to ask takes longer than to read
                    assert asyncuring.statistics().in_flight <= 4 * DEPTH
                return number

            return sum(await gather(read, asked))

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(LOOPS[name], main) for name in ("asyncio", "uvloop", "trio") * 2]
        assert {one.result() for one in running} == {sum(range(asked))}


def test_invariant_07_one_wakeup_carries_many_completions_and_one_reap_is_bounded(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            tasks = [Task.start(uring_file.read_at, bytearray(1), 0) for _ in range(DEPTH)]
            await until_in_flight(DEPTH)
            rings = asyncuring.statistics().drivers[0].rings
            os.write(uring_file.fileno(), bytes(DEPTH))
            # This loop does nothing until all bytes have been taken.
            poll = select.poll()
            poll.register(uring_file.fileno(), select.POLLIN)
            while poll.poll(0):
                pass
            proactor = the_proactor(driver)
            left, taken = [DEPTH], 0
            while left[-1] > 0:
                await checkpoint()
                left.append(proactor.in_flight)
                taken = max(taken, left[-2] - left[-1])
            # One tick of the loop may see what an earlier exchange left, the doorbell and a tick.
            assert 0 < taken <= 3 * REAP_LIMIT
            assert [await task.join() for task in tasks] == [1] * DEPTH
            assert asyncuring.statistics().drivers[0].rings - rings < DEPTH / 4

    run(main)


def test_invariant_08_a_driver_asked_for_by_name_never_falls_back(file: Path) -> None:
    source = f"""
    import errno
    sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
    from tests.refusal import refuse
    refuse("io_uring_setup", errno.EPERM)
    async def main():
        for name in "uring", "uring-local":
            try:
                await asyncuring.open_file(path, driver=name)
            except asyncuring.DriverUnavailableError as error:
                print("refused", error.driver)
        async with await asyncuring.open_file(path):
            print(asyncuring.statistics().driver, asyncuring.statistics().reason)
    asyncio.run(main())
    """
    said = output_of(source, "", file)
    assert said.startswith(
        "refused uring\nrefused uring-local\nthreads io_uring does not work here: "
    )


def test_invariant_09_python_state_is_touched_by_its_loops_thread_alone(
    run: Run, driver: DriverName, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strangers: list[str] = []
    for name in ("poll", "tick", "cancel", "cancel_account", "schedule", "retire"):
        original = getattr(Proactor, name)

        def watched(
            self: Proactor, *args: Any, _original: Any = original, _name: str = name
        ) -> Any:
            if self.thread is not threading.current_thread() and not self.loop.is_closed():
                strangers.append(_name)
            return _original(self, *args)

        monkeypatch.setattr(Proactor, name, watched)

    async def use(uring_file: UringFile) -> None:
        async def read(number: int) -> None:
            with suppress(ClosedFileError):
                await uring_file.read_at(bytearray(8), number)

        tasks = [Task.start(read, number) for number in range(100)]
        tasks[0].cancel()
        for task in tasks:
            with suppress(CancelledTaskError):
                await task.join()

    async def main() -> None:
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:
            with ThreadPoolExecutor(2) as pool:
                others = [pool.submit(run, use, uring_file) for _ in range(2)]
                await use(uring_file)
                await until(lambda: all(other.done() for other in others))
                assert [other.result() for other in others] == [None, None]

    run(main)
    assert strangers == []


def test_invariant_09_only_what_loops_share_has_a_lock() -> None:
    locks = {
        path.name
        for path in LIBRARY.rglob("*.py")
        if "benchmark" not in path.parts and re.search(r"\bR?Lock\(", path.read_text())
    }
    simulated_disks = {"_misbehaving.py"}
    assert locks == {"_runtime.py", "_io_class.py", "_slow_ops.py"} | simulated_disks


def test_invariant_10_a_forked_child_never_touches_the_parents_ring(
    driver: DriverName, file: Path
) -> None:
    source = """
    def kernel_objects():
        links = []
        for fd in os.listdir("/proc/self/fd"):
            try:
                links.append(os.readlink(f"/proc/self/fd/{fd}"))
            except FileNotFoundError:
                pass
        return sorted({link for link in links if "uring" in link or "eventfd" in link})
    loop = asyncio.new_event_loop()
    file = loop.run_until_complete(asyncuring.open_file(path, driver=driver, cached_reads="ring"))
    assert kernel_objects()
    child = os.fork()
    if child == 0:
        # Nothing to touch it with.
        print(kernel_objects(), asyncuring.statistics().drivers, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print(loop.run_until_complete(file.read_at(bytearray(8), 0)))
    loop.run_until_complete(file.aclose())
    loop.close()
    """
    assert output_of(source, driver, file) == "[] ()\n8\n"


def test_invariant_11_no_field_of_an_earlier_op_reaches_a_later_one(
    run: Run, driver: DriverName, file: Path, fifo: Path
) -> None:
    """Ops of every kind in random order, several times round the submission queue."""

    async def main() -> None:
        choice = random.Random(11)
        async with (
            await open_file(file, "r+", driver=driver, cached_reads="ring") as uring_file,
            await open_file(fifo, "r+", driver=driver, cached_reads="ring") as stream,
        ):

            async def cancelled() -> None:
                task = Task.start(stream.read_at, bytearray(8), 0)
                await until(lambda: asyncuring.statistics().in_flight > 0)
                task.cancel()
                with pytest.raises(CancelledTaskError):
                    await task.join()

            async def opened() -> None:
                async with await open_file(file, driver=driver, cached_reads="ring") as other:
                    assert await other.read_at(bytearray(8), 1) == 8

            async def read() -> None:
                place, buf = choice.randrange(len(PATTERN) - 64), bytearray(64)
                await uring_file.read_exactly_at(buf, place)
                assert buf == PATTERN[place : place + 64]

            async def write() -> None:
                place = choice.randrange(len(PATTERN) - 64)
                await uring_file.write_all_at(PATTERN[place : place + 64], place)

            async def one(_number: int) -> None:
                kinds = [read, write, uring_file.fsync, uring_file.fdatasync, opened, cancelled]
                for kind in choice.sample(kinds, len(kinds)):
                    await kind()

            await gather(one, 40)
            assert file.read_bytes() == PATTERN

    run(main)
