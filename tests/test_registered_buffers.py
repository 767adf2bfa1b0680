"""What rings register of a pool's memory, and that they never take other memory for it."""

from __future__ import annotations

import asyncio
import ctypes
import mmap
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

import asyncuring
from asyncuring import BufferPool, UringFile, open_file
from asyncuring._drivers.native import address_of
from tests.conftest import PATTERN
from tests.running import Task, until
from tests.scripts import output_of

if TYPE_CHECKING:
    from asyncuring._runtime import DriverName
    from tests.running import Run

PAGE = mmap.PAGESIZE
MAP_FIXED_NOREPLACE = 0x100000

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


@pytest.fixture(scope="session")
def why_nothing_registers(why_no_uring: str) -> str:
    """Why this kernel, or this user's limit, lets no ring register a page; empty if it does."""

    async def try_it() -> str:
        async with await open_file(os.devnull, driver="uring", cached_reads="ring") as uring_file:
            with BufferPool(PAGE, 1) as pool:
                async with pool.lease() as view:
                    await uring_file.read_at(view, 0)
                return pool.statistics().registrations[0].reason

    return why_no_uring or asyncio.run(try_it())


@pytest.fixture(params=["uring", "uring-local"])
def ring(
    request: pytest.FixtureRequest,
    uring: DriverName,  # noqa: ARG001
    why_nothing_registers: str,
) -> DriverName:
    """A driver with rings that register."""
    if why_nothing_registers:
        pytest.skip(why_nothing_registers)
    return cast("DriverName", request.param)


def registered(pool: BufferPool) -> list[tuple[str, int, str]]:
    return [(r.driver, r.buffers, r.reason) for r in pool.statistics().registrations]


def pinned_bytes() -> int:
    """What io_uring has pinned of this process's memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmPin:"):
            return int(line.split()[1]) * 1024
    raise AssertionError


async def read_once(pool: BufferPool, uring_file: UringFile) -> bool:
    """Whether what is read into a buffer of the pool can be seen there."""
    async with pool.lease() as view:
        view[:] = bytes(len(view))
        assert await uring_file.read_at(view, 0) == len(view)
        return view == PATTERN[: len(view)]


def test_the_first_op_registers(run: Run, ring: DriverName, file: Path) -> None:
    async def main() -> None:
        await until(lambda: pinned_bytes() == 0)
        with BufferPool(PAGE, 4) as pool, BufferPool(PAGE, 2) as unused:
            assert registered(pool) == []
            async with await open_file(file, driver=ring, cached_reads="ring") as uring_file:
                assert registered(pool) == [(ring, 0, "no operation has used it there")]
                assert await read_once(pool, uring_file)
                assert registered(pool) == [(ring, 4, "")]
                assert registered(unused) == [(ring, 0, "no operation has used it there")]
                assert pinned_bytes() == 4 * PAGE
        await until(lambda: pinned_bytes() == 0)  # a ring's end is over a moment later

    run(main)


def take_the_pages(pool: BufferPool) -> None:
    """Let others be at the pool's addresses; the kernel keeps those that are registered."""
    assert pool._memory is not None
    pool._memory.madvise(mmap.MADV_DONTNEED)


def test_registered_buffers_are_used_as_such(run: Run, ring: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=ring, cached_reads="ring") as uring_file:
            with BufferPool(PAGE, 1) as pool:
                assert await read_once(pool, uring_file)
                take_the_pages(pool)
                async with pool.lease() as view:
                    assert await uring_file.read_at(view, 0) == PAGE
                    assert view == bytes(PAGE)
                    buf = bytearray(PAGE)
                    assert await uring_file.read_at(buf, 0) == PAGE
                    assert buf == PATTERN[:PAGE]
                    view[:] = b"x" * PAGE
                    assert await uring_file.write_at(view, PAGE) == PAGE
                    assert file.read_bytes()[PAGE : 2 * PAGE] == PATTERN[:PAGE]
                    async with uring_file.chain() as chain:
                        chain.write_all_at(bytes(PAGE), PAGE)
                        chain.write_all_at(view, PAGE)
                        chain.fdatasync()
                assert file.read_bytes()[PAGE : 2 * PAGE] == PATTERN[:PAGE]

    run(main)


def test_flags_go_with_registered_buffers(run: Run, ring: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=ring, cached_reads="ring") as uring_file:
            with BufferPool(PAGE, 1) as pool:
                assert await read_once(pool, uring_file)
                async with pool.lease() as view:
                    view[:] = b"x" * PAGE
                    take_the_pages(pool)
                    assert await uring_file.write_at(view, PAGE, durable=True) == PAGE
                    assert view == bytes(PAGE)
                assert file.read_bytes()[PAGE : 2 * PAGE] == b"x" * PAGE

    run(main)


def test_side_threads_and_native_threads_need_no_registration(
    run: Run, file: Path, driver: DriverName
) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=driver, cached_reads="ring") as uring_file:
            with BufferPool(PAGE, 1) as pool:
                async with pool.lease() as view:
                    view[:] = b"x" * PAGE
                    for _ in range(100):  # beside the ring, too
                        assert await uring_file.write_at(view, PAGE) == PAGE
                assert await read_once(pool, uring_file)
                if driver == "threads":
                    expected = (driver, 0, "native threads have no use for that")
                    assert registered(pool) == [expected]
        assert file.read_bytes()[PAGE : 2 * PAGE] == b"x" * PAGE

    run(main)


def test_invariant_12_other_memory_at_the_same_address_is_not_taken_for_a_pools(
    run: Run, driver: DriverName, file: Path
) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=driver, cached_reads="ring") as uring_file:
            for _ in range(5):
                with BufferPool(PAGE, 1) as pool:
                    assert await read_once(pool, uring_file)
                    async with pool.lease() as view:
                        address = address_of(view)
                flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_FIXED_NOREPLACE
                there = libc.mmap(address, PAGE, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
                assert there == address
                page = memoryview((ctypes.c_char * PAGE).from_address(address)).cast("B")
                assert await uring_file.read_at(page, PAGE) == PAGE
                assert page == PATTERN[PAGE : 2 * PAGE]
                page[:] = b"y" * PAGE
                assert await uring_file.write_at(page, 0) == PAGE
                assert file.read_bytes()[:PAGE] == b"y" * PAGE
                file.write_bytes(PATTERN)
                page.release()
                assert libc.munmap(address, PAGE) == 0

    run(main)


def test_pools_come_and_go_while_others_read(run: Run, driver: DriverName, file: Path) -> None:
    async def churn(uring_file: UringFile) -> None:
        for number in range(100):
            with BufferPool(PAGE, 1 + number % 7) as pool:
                async with pool.lease() as view:
                    assert await uring_file.read_at(view, PAGE) == PAGE
                    assert view == PATTERN[PAGE : 2 * PAGE]
            plain = mmap.mmap(-1, PAGE * (1 + number % 7))
            assert await uring_file.read_at(memoryview(plain)[:PAGE], PAGE) == PAGE
            assert plain[:PAGE] == PATTERN[PAGE : 2 * PAGE]

    async def main() -> None:
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:
            tasks = [Task.start(churn, uring_file) for _ in range(8)]
            for task in tasks:
                await task.join()

    run(main)


def test_pool_and_driver_end_in_either_order(run: Run, ring: DriverName, file: Path) -> None:
    async def main() -> None:
        await until(lambda: pinned_bytes() == 0)
        with BufferPool(PAGE, 3) as pool:
            for _ in range(3):
                async with await open_file(file, driver=ring, cached_reads="ring") as uring_file:
                    assert await read_once(pool, uring_file)
                    assert registered(pool) == [(ring, 3, "")]
                    assert pinned_bytes() == 3 * PAGE
                await until(lambda: pinned_bytes() == 0)
        async with await open_file(file, driver=ring, cached_reads="ring") as uring_file:
            for _ in range(3):
                with BufferPool(PAGE, 3) as pool:
                    assert await read_once(pool, uring_file)
                    assert pinned_bytes() == 3 * PAGE
                # The ring's next op lets the pages go.
                assert await uring_file.read_at(bytearray(8), 0) == 8
                assert pinned_bytes() == 0

    run(main)


def test_a_loop_that_ends_keeps_no_pages(ring: DriverName, file: Path) -> None:
    """The driver goes on for another loop, and a ring of the ended one's is kept for later."""
    other = asyncio.new_event_loop()
    uring_file = other.run_until_complete(open_file(file, driver=ring, cached_reads="ring"))

    async def main() -> None:
        await until(lambda: pinned_bytes() == 0)
        with BufferPool(PAGE, 3) as pool:
            assert await read_once(pool, uring_file)
            assert pinned_bytes() == 3 * PAGE

    asyncio.run(main())
    # Each look sees to what the ended loop has left.
    assert any(asyncuring.statistics().drivers[0].loops == 1 for _ in range(1000))
    other.run_until_complete(uring_file.read_at(bytearray(8), 0))
    assert pinned_bytes() == 0
    other.run_until_complete(uring_file.aclose())
    other.close()


def test_a_stream_reads_into_registered_buffers(run: Run, ring: DriverName, fifo: Path) -> None:
    async def main() -> None:
        with BufferPool(PAGE, 1) as pool:
            view = await pool.acquire()
            async with await open_file(fifo, "r+", driver=ring, cached_reads="ring") as stream:
                read = Task.start(stream.read_at, view, 0)
                await until(lambda: registered(pool) == [(ring, 1, "")])
                pool.close()
                os.write(stream.fileno(), b"late")
                assert await read.join() == 4
                assert bytes(view[:4]) == b"late"
            pool.give_back(view)

    run(main)


def test_the_steps_of_a_chain_use_registered_buffers(
    run: Run, ring: DriverName, file: Path
) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=ring) as uring_file:
            with BufferPool(PAGE, 1) as pool:
                async with pool.lease() as view:
                    view[:] = b"x" * PAGE
                    async with uring_file.chain() as chain:
                        chain.write_all_at(view, PAGE)
                        chain.fdatasync()
                    assert registered(pool) == [(ring, 1, "")]
                    assert file.read_bytes()[PAGE : 2 * PAGE] == b"x" * PAGE
                    take_the_pages(pool)
                    async with uring_file.chain() as chain:
                        chain.write_all_at(view, 0)
                        chain.fdatasync()
                    assert view == bytes(PAGE)
                    assert file.read_bytes()[:PAGE] == b"x" * PAGE

    run(main)


def test_a_large_pool_is_registered_region_by_region(
    run: Run, ring: DriverName, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncuring._memory._REGION_MIN", 3 * PAGE)

    async def main() -> None:
        async with await open_file(file, driver=ring, cached_reads="ring") as uring_file:
            with BufferPool(PAGE, 7) as pool:
                views = [await pool.acquire() for _ in range(7)]
                for number, view in enumerate(views):
                    assert await uring_file.read_at(view, 0) == PAGE
                    assert view == PATTERN[:PAGE]
                    [(_, buffers, reason)] = registered(pool)
                    assert buffers == [3, 3, 3, 6, 6, 6, 7][number]
                    assert bool(reason) == (buffers < 7)
                for view in views:
                    pool.give_back(view)

    run(main)


def test_buffers_that_are_too_large_are_plain(
    run: Run, ring: DriverName, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncuring._memory._REGION_MAX", PAGE)

    async def main() -> None:
        async with await open_file(file, driver=ring, cached_reads="ring") as uring_file:
            with BufferPool(2 * PAGE, 2) as pool:
                assert await read_once(pool, uring_file)
                assert registered(pool) == [(ring, 0, "a buffer is larger than 1 GiB")]

    run(main)


def test_with_too_many_pools_the_last_are_plain(ring: DriverName, file: Path) -> None:
    async def main() -> None:
        pools = [BufferPool(1, 1) for _ in range(4096)]
        with BufferPool(PAGE, 1) as late:
            async with await open_file(file, driver=ring, cached_reads="ring") as uring_file:
                assert await read_once(late, uring_file)
                assert registered(late) == [(ring, 0, "the process has too many pools")]
                for pool in pools:
                    pool.close()
                with BufferPool(PAGE, 1) as pool:
                    assert await read_once(pool, uring_file)
                    assert registered(pool) == [(ring, 1, "")]

    asyncio.run(main())


def test_a_forked_child_registers_memory_of_its_own(ring: DriverName, file: Path) -> None:
    source = """
    pool = asyncuring.BufferPool(4096, 2)
    async def read(how):
        async with await asyncuring.open_file(path, driver=driver, cached_reads="ring") as file:
            for _ in range(2):
                async with pool.lease() as view:
                    view[:] = bytes(4096)
                    await file.read_at(view, 0)
                    seen = bytes(view[:4])
            [registration] = pool.statistics().registrations
            print(how, seen, registration.buffers, flush=True)
    loop = asyncio.new_event_loop()
    file = loop.run_until_complete(asyncuring.open_file(path, driver=driver, cached_reads="ring"))
    loop.run_until_complete(read("parent"))
    child = os.fork()
    if child == 0:
        asyncio.run(read("child"))
        pool.close()
        os._exit(0)
    os.waitpid(child, 0)
    loop.run_until_complete(read("parent"))
    loop.run_until_complete(file.aclose())
    loop.close()
    pool.close()
    """
    line = f"{PATTERN[:4]!r} 2\n"
    assert output_of(source, ring, file) == f"parent {line}child {line}parent {line}"


@pytest.mark.skipif(sys.platform != "linux", reason="there is no RLIMIT_MEMLOCK elsewhere")
@pytest.mark.parametrize("kibibytes", [0, 512])
def test_where_memory_may_not_be_locked_buffers_are_plain(
    kibibytes: int, uring: DriverName, file: Path
) -> None:
    assert uring
    source = f"""
    import resource, shutil, tempfile
    resource.setrlimit(resource.RLIMIT_MEMLOCK, ({kibibytes} * 1024,) * 2)
    folder = tempfile.mkdtemp()
    path = shutil.copy(path, folder)
    os.chmod(folder, 0o755)
    os.chmod(path, 0o644)
    if os.geteuid() == 0:  # CAP_IPC_LOCK goes with it
        os.seteuid(65534)
    async def main():
        async with await asyncuring.open_file(path, cached_reads="ring") as file:
            with asyncuring.BufferPool(4096, 256) as pool:
                async with pool.lease() as view:
                    print(await file.read_at(view, 0), view == bytes(range(256)) * 16)
                [registration] = pool.statistics().registrations
                print(registration)
    asyncio.run(main())
    os.seteuid(os.getuid())
    shutil.rmtree(folder)
    """
    said = output_of(source, "", file)
    assert said.startswith("4096 True\nPoolRegistration(driver=")
    if kibibytes:
        assert "buffers=0, reason='the limit on locked memory" in said
    else:  # not even a ring
        assert "buffers=0, reason='native threads" in said
