"""A forked child starts clean, and its parent does not notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.scripts import output_of

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName

# The child's part in each of these; what it says comes before its parent goes on.
START = """
loop = asyncio.new_event_loop()
uring_file = loop.run_until_complete(asyncuring.open_file(path, driver=driver))
def read(file, off=65):
    buf = bytearray(4)
    loop.run_until_complete(file.read_exactly_at(buf, off))
    return bytes(buf)
def wait_for(child):
    _, status = os.waitpid(child, 0)
    print("child ended with", os.waitstatus_to_exitcode(status), flush=True)
def end():
    loop.run_until_complete(uring_file.aclose())
    loop.close()
    print("parent", asyncuring.statistics().drivers, native_threads())
print(read(uring_file), flush=True)
child = os.fork()
"""


def test_the_child_refuses_the_file_and_opens_its_own(driver: DriverName, file: Path) -> None:
    source = (
        START
        + """
if child == 0:
    print("child", asyncuring.statistics().drivers, native_threads())
    async def use_it():
        for call in [
            lambda: uring_file.read_at(bytearray(8), 0),
            lambda: uring_file.write_at(b"no", 0),
            lambda: uring_file.fsync(),
        ]:
            try:
                await call()
            except asyncuring.ForkedProcessError as error:
                print(error)
        async with await asyncuring.open_file(path, driver=driver) as own:
            buf = bytearray(4)
            print(await own.read_at(buf, 66), buf, asyncuring.statistics().driver == driver)
        fd = uring_file.fileno()
        await uring_file.aclose()
        print(uring_file.closed, asyncuring.statistics().drivers, native_threads())
        try:
            os.fstat(fd)
        except OSError as error:
            print(error.strerror)
    loop.close()
    asyncio.run(use_it())
    sys.exit(7)
wait_for(child)
print(read(uring_file))
end()
"""
    )
    refused = "the file was opened before this process was forked; open it again here\n"
    assert output_of(source, driver, file) == (
        "b'ABCD'\nchild () 1\n"
        + 3 * refused
        + "4 bytearray(b'BCDE') True\nTrue () 1\nBad file descriptor\n"
        "child ended with 7\nb'ABCD'\nparent () 1\n"
    )


def test_ops_in_flight_stay_the_parents(driver: DriverName, fifo: Path) -> None:
    source = """
    loop = asyncio.new_event_loop()
    uring_file = loop.run_until_complete(asyncuring.open_file(path, "r+", driver=driver))
    buf = bytearray(4)
    read = loop.create_task(uring_file.read_at(buf, 0))
    loop.run_until_complete(until_in_flight(1))
    child = os.fork()
    if child == 0:
        async def own():
            async with await asyncuring.open_file(path, "r+", driver=driver) as file:
                await file.write_at(b"data", 0)
        asyncio.run(own())
        os._exit(0 if buf == bytes(4) else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print(loop.run_until_complete(read), buf)
    loop.run_until_complete(uring_file.aclose())
    loop.close()
    """
    assert output_of(source, driver, fifo) == "0\n4 bytearray(b'data')\n"


def test_a_child_that_forgets_the_file_closes_its_own_copy_only(
    driver: DriverName, file: Path
) -> None:
    source = (
        START
        + """
if child == 0:
    fd = uring_file.fileno()
    del uring_file
    gc.collect()
    try:
        os.fstat(fd)
    except OSError:
        print("closed", flush=True)
    os._exit(0)
wait_for(child)
print(read(uring_file))
end()
"""
    )
    said = "b'ABCD'\nclosed\nchild ended with 0\nb'ABCD'\nparent () 1\n"
    assert output_of(source, driver, file) == said


def test_a_child_that_ends_at_once_harms_nobody(driver: DriverName, file: Path) -> None:
    source = START + "if child == 0: sys.exit(0)\nwait_for(child)\nprint(read(uring_file))\nend()"
    said = "b'ABCD'\nchild ended with 0\nb'ABCD'\nparent () 1\n"
    assert output_of(source, driver, file) == said


def test_a_grandchild_starts_clean_too(driver: DriverName, file: Path) -> None:
    source = (
        START
        + """
async def own(file_path):
    async with await asyncuring.open_file(file_path, driver=driver) as file:
        return await file.read_at(bytearray(4), 0)
if child == 0:
    asyncio.run(own(path))
    held = loop_of_child = asyncio.new_event_loop()
    file_of_child = held.run_until_complete(asyncuring.open_file(path, driver=driver))
    grandchild = os.fork()
    if grandchild == 0:
        print(asyncio.run(own(path)), flush=True)
        os._exit(0)
    wait_for(grandchild)
    held.run_until_complete(file_of_child.aclose())
    held.close()
    os._exit(0)
wait_for(child)
end()
"""
    )
    said = "b'ABCD'\n4\nchild ended with 0\nchild ended with 0\nparent () 1\n"
    assert output_of(source, driver, file) == said


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_worker_processes_open_their_own(
    driver: DriverName, file: Path, tmp_path: Path, method: str
) -> None:
    """As a program of its own, since `spawn` imports it again."""
    program = tmp_path / "program.py"
    program.write_text(f"""
import asyncio, multiprocessing, sys
import asyncuring
async def read(off):
    async with await asyncuring.open_file({str(file)!r}, driver={driver!r}) as file:
        buf = bytearray(2)
        await file.read_exactly_at(buf, off)
        return bytes(buf)
def work(off):
    return asyncio.run(read(off))
async def main():
    async with await asyncuring.open_file({str(file)!r}, driver={driver!r}) as file:
        with multiprocessing.get_context({method!r}).Pool(2) as pool:
            print(await asyncio.to_thread(pool.map, work, [65, 67]))
            pool.close()
            pool.join()
        print(await file.read_at(bytearray(3), 0))
if __name__ == "__main__":
    asyncio.run(main())
""")
    source = "import runpy; sys.argv[:] = [path]; runpy.run_path(path, run_name='__main__')"
    assert output_of(source, driver, program) == "[b'AB', b'CD']\n3\n"


def test_the_threads_beside_a_ring_stay_with_the_parent(driver: DriverName, file: Path) -> None:
    """Where the kernel's ring has no file locks, a pool of threads takes them."""
    source = """
    loop = asyncio.new_event_loop()
    open_own = lambda: asyncuring.open_file(path, "r+", driver=driver)
    uring_file = loop.run_until_complete(open_own())
    loop.run_until_complete(uring_file.lock(off=1, length=1))
    child = os.fork()
    if child == 0:
        async def use_it():
            await uring_file.aclose()
            print(asyncuring.statistics().drivers, native_threads())
            async with await open_own() as own:
                await own.lock(off=2, length=1, wait=False)
        asyncio.run(use_it())
        sys.exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    loop.run_until_complete(uring_file.lock(off=2, length=1, wait=False))
    loop.run_until_complete(uring_file.aclose())
    loop.close()
    print(asyncuring.statistics().drivers, native_threads())
    """
    assert output_of(source, driver, file) == "() 1\n7\n() 1\n"


def test_a_child_that_goes_on_with_its_parents_loop_takes_nothing_from_it(
    driver: DriverName, fifo: Path
) -> None:
    """The queues of a ring are memory that both have."""
    source = """
    import select
    async def begin(file):
        read = asyncio.ensure_future(file.read_at(bytearray(1), 0))
        await until_in_flight(1)
        return read
    async def go_on(file):
        os.write(file.fileno(), b"!")
        while select.select([file.fileno()], [], [], 0)[0]:
            await asyncio.sleep(0)
        for _ in range(1000):  # the parent's read has been done
            await asyncio.sleep(0)
    loop = asyncio.new_event_loop()
    file = loop.run_until_complete(asyncuring.open_file(path, "r+", driver=driver))
    read = loop.run_until_complete(begin(file))
    child = os.fork()  # from 3.14 on a loop that runs ends in the child
    if child == 0:
        loop.run_until_complete(go_on(file))
        print("child", read.done(), flush=True)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print(loop.run_until_complete(read))
    loop.run_until_complete(file.aclose())
    loop.close()
    print(asyncuring.statistics().drivers)
    """
    assert output_of(source, driver, fifo) == "child False\n0\n1\n()\n"
