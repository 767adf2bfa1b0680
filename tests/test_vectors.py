"""Vectored reads and writes, and those with flags: on each loop, with each driver."""

from __future__ import annotations

import errno
import mmap
import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from asyncuring import ClosedFileError, open_file
from tests.conftest import PATTERN
from tests.held import begin_closing, in_flight
from tests.kernel import knows_what_would_wait
from tests.page_cache import resident
from tests.running import CancelledTaskError, Task, checkpoints, is_pinned

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncuring._runtime import DriverName
    from tests.running import Run

SIZE = len(PATTERN)
RWF_NOWAIT, RWF_ATOMIC, RWF_DONTCACHE = 0x08, 0x40, 0x80


def kernel_answer(flag: int, path: Path, *, direct: bool = False) -> int:
    """The errno of pwritev2(2) itself for a write with `flag` to a file; 0 if it can."""
    fd = os.open(path, os.O_RDWR | (os.O_DIRECT if direct else 0))
    try:
        with mmap.mmap(-1, 4096) as memory:
            os.pwritev(fd, [memory], 0, flag)
    except OSError as error:
        return error.errno or 0
    finally:
        os.close(fd)
    return 0


# -- vectors


def test_reads_fill_one_buffer_after_the_other(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        bufs: list[Any] = [bytearray(10), np.zeros((3, 5), dtype=np.uint8), bytearray(), mmap_of(7)]
        async with await open_file(file, driver=driver) as uring_file:
            assert await uring_file.readv_at(bufs, 100) == 32
            assert b"".join(map(bytes_of, bufs)) == PATTERN[100:132]
            assert await uring_file.readv_at(bufs, SIZE - 12) == 12
            assert b"".join(map(bytes_of, bufs)) == PATTERN[-12:] + PATTERN[112:132]
            assert await uring_file.readv_at((bytearray(1) for _ in range(1024)), 0) == 1024
            assert await uring_file.readv_at([], 0) == 0

    run(main)


def mmap_of(size: int) -> mmap.mmap:
    return mmap.mmap(-1, size)


def bytes_of(buf: Any) -> bytes:
    with memoryview(buf) as view:
        return view.tobytes()


def test_writes_take_one_buffer_after_the_other(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        bufs: list[Any] = [b"one", bytearray(b"two"), np.frombuffer(b"three", dtype=np.uint8)]
        async with await open_file(file, "r+", driver=driver) as uring_file:
            assert await uring_file.writev_at(bufs, 50) == 11
            assert await uring_file.writev_at([b"\0"] * 1024, SIZE) == 1024

    run(main)
    assert file.read_bytes() == PATTERN[:50] + b"onetwothree" + PATTERN[61:] + bytes(1024)


def test_more_buffers_than_the_kernel_takes(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            bufs = [bytearray(1) for _ in range(1025)]
            with pytest.raises(ValueError, match=r"at most 1024 buffers \(IOV_MAX\), not 1025"):
                await uring_file.readv_at(bufs, 0)
            with pytest.raises(ValueError, match="IOV_MAX"):
                await uring_file.writev_at(bufs, 0)
            assert not any(map(is_pinned, bufs))

    run(main)
    assert file.read_bytes() == PATTERN


def test_a_buffer_that_cannot_be_used_keeps_all_from_being(
    run: Run, driver: DriverName, file: Path
) -> None:
    async def main() -> None:
        good = bytearray(4)
        bad: Any = "text"
        async with await open_file(file, "r+", driver=driver) as uring_file:
            with pytest.raises(TypeError, match="a buffer"):
                await uring_file.writev_at([good, bad], 0)
            with pytest.raises(BufferError, match="read-only"):
                await uring_file.readv_at([good, b"constant"], 0)
            with pytest.raises(ValueError, match="offset must be"):
                await uring_file.readv_at([good], -1)
        assert not is_pinned(good)
        assert good == bytes(4)
        with pytest.raises(ClosedFileError):
            await uring_file.readv_at([good], 0)
        with pytest.raises(ClosedFileError):
            await uring_file.writev_at([good], 0)

    run(main)
    assert file.read_bytes() == PATTERN


def test_every_buffer_is_pinned_until_the_kernel_is_done(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        bufs = [bytearray(2), bytearray(3)]
        async with await open_file(fifo, "r+", driver=driver) as stream:
            read = await in_flight(stream.readv_at, bufs, 0)
            assert all(map(is_pinned, bufs))
            os.write(stream.fileno(), b"12345")
            assert await read.join() == 5
            assert bufs == [b"12", b"345"]
            assert not any(map(is_pinned, bufs))
            assert await stream.writev_at([b"ab", b"cde"], 0) == 5
            assert os.read(stream.fileno(), 9) == b"abcde"

    run(main)


def test_a_cancelled_vectored_read_lets_go_of_its_buffers(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        bufs = [bytearray(2), bytearray(3)]
        async with await open_file(fifo, "r+", driver=driver) as stream:
            read = await in_flight(stream.readv_at, bufs, 0)
            read.cancel()
            with pytest.raises(CancelledTaskError):
                await read.join()
            assert not any(map(is_pinned, bufs))
            os.write(stream.fileno(), b"later")
            assert await stream.readv_at(bufs, 0) == 5

    run(main)


def test_a_vectored_read_of_a_file_that_is_closed_by_force(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        buf = bytearray(4)
        stream = await open_file(fifo, "r+", driver=driver)
        read = await in_flight(stream.readv_at, [buf], 0)
        closing = await begin_closing(stream)
        closing.cancel()
        with pytest.raises(ClosedFileError, match="is closed"):
            await read.join()
        with pytest.raises(CancelledTaskError):
            await closing.join()
        assert not is_pinned(buf)

    run(main)


# -- flags


def test_durable_writes(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            assert await uring_file.write_at(b"one", 0, durable=True) == 3
            assert await uring_file.writev_at([b"two", b"three"], 3, durable=True) == 8

    run(main)
    assert file.read_bytes()[:12] == b"onetwothree" + PATTERN[11:12]


def test_reads_that_need_not_wait(run: Run, driver: DriverName, file: Path) -> None:
    if not knows_what_would_wait(file):
        pytest.skip("the file system does not know what would wait")

    async def main() -> None:
        async with await open_file(file, driver=driver) as uring_file:
            buf = bytearray(100)
            await uring_file.read_exactly_at(buf, 7)  # so that the page cache has it
            assert await uring_file.read_at(buf, 7, nowait=True) == 100
            assert buf == PATTERN[7:107]
            assert await uring_file.readv_at([buf, bytearray(1)], 8, nowait=True) == 101
            assert await uring_file.read_at(buf, SIZE, nowait=True) == 0

    run(main)


@pytest.mark.parametrize("vectored", [False, True])
def test_reads_that_would_have_to_wait(
    run: Run, driver: DriverName, file: Path, vectored: bool
) -> None:
    """At the first that would. The kernel begins to read ahead, and may be done before it looks."""

    async def main() -> None:
        buf = bytearray(10)
        async with await open_file(file, "r+", driver=driver) as uring_file:
            for _ in range(50):
                await uring_file.fdatasync()
                await uring_file.advise("dontneed")
                if resident(file):
                    pytest.skip("this file system keeps everything in memory")
                try:
                    if vectored:
                        await uring_file.readv_at([buf], 0, nowait=True)
                    else:
                        await uring_file.read_at(buf, 0, nowait=True)
                except BlockingIOError as error:
                    assert error.filename == str(file)  # noqa: PT017  at the first that would wait
                    return
                assert buf == PATTERN[:10]

    run(main)


def test_reads_of_what_cannot_say_whether_it_waits(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver) as stream:
            buf = bytearray(10)
            reads: list[Callable[[], Awaitable[int]]] = [
                lambda: stream.read_at(buf, 0, nowait=True),
                lambda: stream.readv_at([buf], 0, nowait=True),
            ]
            for read in reads:
                with pytest.raises(OSError, match=r"nowait=True .* a file that can say") as caught:
                    await read()
                assert caught.value.errno == errno.EOPNOTSUPP

    run(main)


def test_the_page_cache_is_spared_where_it_can_be(run: Run, driver: DriverName, file: Path) -> None:
    expected = kernel_answer(RWF_DONTCACHE, file)
    file.write_bytes(PATTERN)

    async def main() -> None:
        buf = bytearray(4096)
        async with await open_file(file, "r+", driver=driver) as uring_file:
            calls: list[Callable[[], Awaitable[int]]] = [
                lambda: uring_file.write_at(PATTERN[:4096], 0, dontcache=True),
                lambda: uring_file.writev_at([PATTERN[:4096]], 0, dontcache=True),
                lambda: uring_file.read_at(buf, 0, dontcache=True),
                lambda: uring_file.readv_at([buf], 0, dontcache=True),
            ]
            for call in calls:
                if expected:
                    with pytest.raises(OSError, match=r"dontcache=True .* Linux 6\.14") as caught:
                        await call()
                    assert caught.value.errno == expected == errno.EOPNOTSUPP
                else:
                    assert await call() == 4096

    run(main)
    assert file.read_bytes() == PATTERN


def test_a_file_system_without_dontcache_is_told_of(run: Run, driver: DriverName) -> None:
    path = Path("/dev/shm") / f"asyncuring-test-{os.getpid()}"
    path.write_bytes(PATTERN)
    try:
        if not kernel_answer(RWF_DONTCACHE, path):
            pytest.skip("/dev/shm has RWF_DONTCACHE: it is no tmpfs, or one newer than the test")
        path.write_bytes(PATTERN)

        async def main() -> None:
            async with await open_file(path, "r+", driver=driver) as uring_file:
                with pytest.raises(OSError, match=r"dontcache=True .* 6\.14") as caught:
                    await uring_file.write_at(b"x", 0, dontcache=True, durable=True)
                assert "durable=True (RWF_DSYNC) wants" in str(caught.value)
                assert caught.value.filename == str(path)

        run(main)
        assert path.read_bytes() == PATTERN
    finally:
        path.unlink()


def test_atomic_writes_say_what_they_want(run: Run, driver: DriverName, file: Path) -> None:
    """Where file system and device promise nothing: that; where they do, the limits."""
    expected = kernel_answer(RWF_ATOMIC, file, direct=True)
    file.write_bytes(PATTERN)

    async def main() -> None:
        async with await open_file(file, "r+", driver=driver, direct=True) as uring_file:
            limits = (await uring_file.stat()).atomic_writes
            with mmap.mmap(-1, 4096) as memory:
                if expected:
                    assert limits is None
                    with pytest.raises(OSError, match=r"atomic=True .* Linux 6\.11") as caught:
                        await uring_file.write_at(memory, 0, atomic=True)
                    assert caught.value.errno == expected == errno.EOPNOTSUPP
                else:
                    assert limits is not None
                    size = limits.minimum
                    with memoryview(memory) as view:
                        assert await uring_file.write_at(view[:size], 0, atomic=True) == size
                        with pytest.raises(OSError, match="a power of two"):
                            await uring_file.write_at(view[: size // 2], 0, atomic=True)

    run(main)
    if expected:
        assert file.read_bytes() == PATTERN


def test_atomic_writes_want_direct_io(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            with pytest.raises(OSError, match="a file opened with direct=True"):
                await uring_file.writev_at([bytes(4096)], 0, atomic=True)

    run(main)
    assert file.read_bytes() == PATTERN


def test_a_misaligned_vectored_write_says_what_it_takes(
    run: Run, driver: DriverName, file: Path
) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=driver, direct=True) as uring_file:
            if (await uring_file.stat()).direct_io_alignment is None:
                pytest.skip("this file system does not tell what it wants, and may want nothing")
            with pytest.raises(OSError, match="aligned") as caught:
                await uring_file.writev_at([b"12", b"345"], 1)
            assert caught.value.errno == errno.EINVAL

    run(main)
    assert file.read_bytes() == PATTERN


def test_a_cancelled_flagged_write_is_done_or_not(run: Run, driver: DriverName, file: Path) -> None:
    """However far it has come: all of it or nothing, and the buffer is free."""

    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            for steps in range(10):
                buf = bytearray([steps]) * 8192
                write = Task.start(partial(uring_file.write_at, buf, 0, durable=True))
                await checkpoints(steps)
                write.cancel()
                with suppress(CancelledTaskError):
                    assert await write.join() == 8192
                assert not is_pinned(buf)
                assert len(set(file.read_bytes()[:8192])) in (1, 256)

    run(main)
