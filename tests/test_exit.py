"""The interpreter ends: with files open, ops in flight, and loops in threads that it leaves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.scripts import output_of, run_script

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName

# What the library may wait at most for the kernel, and an interpreter to start and to end.
SECONDS_MAX = 15


@pytest.fixture(autouse=True)
def bounded() -> object:
    begin = time.monotonic()
    yield
    assert time.monotonic() - begin < SECONDS_MAX


def test_with_ops_in_flight_in_a_loop_that_nobody_runs(driver: DriverName, fifo: Path) -> None:
    source = """
    loop = asyncio.new_event_loop()
    file = loop.run_until_complete(asyncuring.open_file(path, "r+", driver=driver))
    reads = [loop.create_task(file.read_at(bytearray(1), 0)) for _ in range(20)]
    loop.run_until_complete(until_in_flight(20))
    for read in reads:
        read._log_destroy_pending = False
    print("end")
    """
    done = run_script(source, driver, fifo, "-W", "ignore")
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def test_with_ops_in_flight_when_a_program_is_interrupted(driver: DriverName, fifo: Path) -> None:
    source = """
    import signal
    async def main():
        async with await asyncuring.open_file(path, "r+", driver=driver) as file:
            read = asyncio.create_task(file.read_at(bytearray(1), 0))
            await until_in_flight(1)
            # In the loop, as the user's: only from Python 3.11 on is it the main task's.
            asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
            await read
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("interrupted", asyncuring.statistics().drivers)
    """
    assert output_of(source, driver, fifo) == "interrupted ()\n"


def test_interrupted_while_it_waits_for_the_kernel(driver: DriverName, fifo: Path) -> None:
    """At each place: what the kernel may still write to is never freed."""
    source = """
    import weakref
    from array import array
    from asyncuring import _runtime
    from tests.interrupting import Interruption
    def life(at):
        loop = asyncio.new_event_loop()
        file = loop.run_until_complete(asyncuring.open_file(path, "r+", driver=driver))
        buf = array("b", b"....")
        freed = weakref.ref(buf)
        read = loop.create_task(file.read_at(buf, 0))
        read._log_destroy_pending = False
        loop.run_until_complete(until_in_flight(1))
        proactor = [*file._leased.proactors.values()][-1]
        with Interruption(at, _runtime._drain_all) as interruption:
            try:
                _runtime._at_exit()
            except KeyboardInterrupt:
                pass
        del loop, read, buf
        is_done = proactor.in_flight == 0
        del proactor, file
        _runtime._in_use.clear()  # as the interpreter's end does
        gc.collect()
        if not is_done and freed() is None:
            print(interruption.place, file=sys.stderr)
            os._exit(1)
        return interruption.place
    def in_child(at):
        child = os.fork()
        if child == 0:
            os._exit(0 if life(at) else 2)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    statuses = [in_child(1)]
    while statuses[-1] == 0:
        statuses.append(in_child(len(statuses) + 1))
    print(len(statuses) > 10, statuses[-1])
    """
    done = run_script(source, driver, fifo, "-W", "ignore")
    assert (done.stderr, done.stdout, done.returncode) == ("", "True 2\n", 0)


def test_with_an_exception_beside_an_op_in_flight(driver: DriverName, fifo: Path) -> None:
    source = """
    async def main():
        file = await asyncuring.open_file(path, "r+", driver=driver)
        read = asyncio.create_task(file.read_at(bytearray(1), 0))
        await until_in_flight(1)
        sys.exit(3)
    asyncio.run(main())
    """
    done = run_script(source, driver, fifo, "-W", "ignore")
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")


def test_with_an_unclosed_file(driver: DriverName, file: Path) -> None:
    source = """
    async def main():
        return await asyncuring.open_file(path, driver=driver)
    file = asyncio.run(main())
    print("end")
    """
    done = run_script(source, driver, file, "-W", "default")
    assert (done.returncode, done.stdout) == (0, "end\n")
    assert "ResourceWarning: unclosed file" in done.stderr


@pytest.mark.parametrize("busy", ["on a FIFO", "on a file"])
def test_with_a_loop_in_a_daemon_thread(driver: DriverName, fifo: Path, busy: str) -> None:
    source = f"""
    in_flight = threading.Event()
    async def main():
        async with await asyncuring.open_file(path, "r+", driver=driver) as file:
            reads = [asyncio.create_task(file.read_at(bytearray(1), 0)) for _ in range(20)]
            await until_in_flight(20)
            in_flight.set()
            async with await asyncuring.open_file(sys.executable, driver=driver) as other:
                while {busy == "on a file"}:
                    await other.read_at(bytearray(8192), 0)
            await reads[0]
    threading.Thread(target=asyncio.run, args=(main(),), daemon=True).start()
    in_flight.wait()
    print("end")
    """
    done = run_script(source, driver, fifo, "-W", "ignore")
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def test_with_a_loop_in_a_thread_that_python_waits_for(driver: DriverName, fifo: Path) -> None:
    source = """
    async def main():
        async with await asyncuring.open_file(path, "r+", driver=driver) as file:
            read = asyncio.create_task(file.read_at(bytearray(1), 0))
            await until_in_flight(1)
            threading.main_thread().join()
            os.write(file.fileno(), b"!")
            print(await read)
    threading.Thread(target=asyncio.run, args=(main(),)).start()
    """
    assert output_of(source, driver, fifo) == "1\n"


def test_with_a_trio_run_that_fails(driver: DriverName, fifo: Path) -> None:
    pytest.importorskip("trio")
    source = """
    import trio
    async def read(file):
        await file.read_at(bytearray(1), 0)
    async def main():
        async with await asyncuring.open_file(path, "r+", driver=driver) as file:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read, file)
                while asyncuring.statistics().in_flight != 1:
                    await trio.lowlevel.checkpoint()
                raise SystemExit(4)
    try:
        trio.run(main)
    except BaseExceptionGroup if sys.version_info >= (3, 11) else BaseException:
        print(asyncuring.statistics().drivers)
    """
    assert output_of(source, driver, fifo) == "()\n"


def test_with_leased_buffers_and_an_op_that_names_one(driver: DriverName, fifo: Path) -> None:
    source = """
    pool = asyncuring.BufferPool(4096, 2)
    forgotten = asyncuring.BufferPool(4096, 2)
    loop = asyncio.new_event_loop()
    file = loop.run_until_complete(asyncuring.open_file(path, "r+", driver=driver))
    views = [loop.run_until_complete(one.acquire()) for one in (pool, forgotten)]
    reads = [loop.create_task(file.read_at(view, 0)) for view in views]
    loop.run_until_complete(until_in_flight(2))
    for read in reads:
        read._log_destroy_pending = False
    del forgotten
    pool.give_back(views[0])
    pool.close()
    print("end")
    """
    done = run_script(source, driver, fifo, "-W", "ignore")
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")
