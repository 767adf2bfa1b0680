"""What a file does with bytes: on each loop, with each driver, the same."""

from __future__ import annotations

import array
import mmap
import os
import resource
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import asyncuring
from asyncuring import EndOfFileError, open_file
from tests.conftest import PATTERN
from tests.running import Task, gather, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run

SIZE = len(PATTERN)

# On the size of files: far more than what else is written meanwhile.
LIMIT = 1 << 30


def empty_mmap() -> mmap.mmap:
    return mmap.mmap(-1, 4096)


WRITABLE: dict[str, Callable[[], Any]] = {
    "bytearray": lambda: bytearray(4096),
    "memoryview": lambda: memoryview(bytearray(8192))[1024:5120],
    "mmap": empty_mmap,
    "array": lambda: array.array("Q", bytes(4096)),
    "numpy": lambda: np.zeros(512, dtype=np.float64),
    "numpy-2d": lambda: np.zeros((16, 64), dtype=np.int32),
    "structures": lambda: np.zeros(256, dtype=[("Offset", "<u8"), ("Order", "<u8")]),
}


def content_of(buf: Any) -> bytes:
    with memoryview(buf) as view:
        return view.tobytes()


@pytest.mark.parametrize("kind", list(WRITABLE))
def test_any_writable_buffer_is_read_into_without_a_copy(
    run: Run, driver: DriverName, file: Path, kind: str
) -> None:
    async def main() -> None:
        buf = WRITABLE[kind]()
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:
            assert await uring_file.read_at(buf, 256) == 4096
            assert content_of(buf) == PATTERN[256 : 256 + 4096]
            await uring_file.read_exactly_at(buf, 257)
            assert content_of(buf) == PATTERN[257 : 257 + 4096]

    run(main)


@pytest.mark.parametrize("kind", [*WRITABLE, "bytes"])
def test_any_buffer_is_written_from(run: Run, driver: DriverName, file: Path, kind: str) -> None:
    async def main() -> None:
        content = PATTERN[7 : 7 + 4096]
        buf: Any = content if kind == "bytes" else WRITABLE[kind]()
        if kind != "bytes":
            with PickleBuffer(buf).raw() as view:
                view[:] = content
        async with await open_file(file, "r+", driver=driver, cached_reads="ring") as uring_file:
            assert await uring_file.write_at(buf, 100) == 4096
            assert file.read_bytes() == PATTERN[:100] + content + PATTERN[100 + 4096 :]
            await uring_file.write_all_at(buf, 200)
            assert file.read_bytes()[200 : 200 + 4096] == content

    run(main)


def test_a_read_is_short_only_at_the_end_of_the_file(
    run: Run, driver: DriverName, file: Path
) -> None:
    async def main() -> None:
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:
            buf = bytearray(b"x" * 1000)
            assert await uring_file.read_at(buf, SIZE - 1000) == 1000
            assert await uring_file.read_at(buf, SIZE - 10) == 10
            assert buf == PATTERN[-10:] + PATTERN[-1000 + 10 :]
            assert await uring_file.read_at(buf, SIZE) == 0
            assert await uring_file.read_at(buf, 2**62) == 0

    run(main)


def test_an_empty_buffer_transfers_nothing(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=driver, cached_reads="ring") as uring_file:
            assert await uring_file.read_at(bytearray(), 0) == 0
            assert await uring_file.write_at(b"", SIZE) == 0
            await uring_file.read_exactly_at(bytearray(), 2**62)
            nothing: Any = np.zeros((4, 0))
            await uring_file.read_exactly_at(nothing, 0)
            await uring_file.write_all_at(nothing, 0)
            await uring_file.write_all_at(b"", 2**62)
        assert file.stat().st_size == SIZE

    run(main)


def test_a_large_buffer_is_transferred_whole(run: Run, driver: DriverName, tmp_path: Path) -> None:
    async def main() -> None:
        content: Any = np.arange(1 << 20, dtype=np.uint64)
        back: Any = np.zeros_like(content)
        async with await open_file(
            tmp_path / "large", "x+", driver=driver, cached_reads="ring"
        ) as uring_file:
            await uring_file.write_all_at(content, 4096)
            await uring_file.read_exactly_at(back, 4096)
        assert (back == content).all()

    run(main)


def test_read_exactly_says_how_much_there_was(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        buf = bytearray(100)
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:
            await uring_file.read_exactly_at(buf, 1)
            assert buf == PATTERN[1:101]
            with pytest.raises(EndOfFileError, match="after 30 of 100 bytes") as caught:
                await uring_file.read_exactly_at(buf, SIZE - 30)
        assert (caught.value.count, caught.value.expected) == (30, 100)
        assert isinstance(caught.value, EOFError)
        assert buf[:30] == PATTERN[-30:]

    run(main)


def test_read_exactly_goes_on_after_a_short_read(run: Run, driver: DriverName, fifo: Path) -> None:
    async def main() -> None:
        buf = bytearray(8)
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            os.write(uring_file.fileno(), b"half")
            read = Task.start(uring_file.read_exactly_at, buf, 0)
            await until(lambda: buf[:4] == b"half")
            os.write(uring_file.fileno(), b"rest")
            await read.join()
        assert buf == b"halfrest"

    run(main)


def test_writes_grow_the_file_and_leave_holes(run: Run, driver: DriverName, tmp_path: Path) -> None:
    path = tmp_path / "sparse"

    async def main() -> None:
        async with await open_file(path, "w+", driver=driver, cached_reads="ring") as uring_file:
            await uring_file.write_all_at(b"far", 1 << 30)
            assert os.fstat(uring_file.fileno()).st_size == (1 << 30) + 3
            assert os.fstat(uring_file.fileno()).st_blocks * 512 < 1 << 20
            buf = bytearray(b"x" * 4096)
            await uring_file.read_exactly_at(buf, 1 << 20)
            assert buf == bytes(4096)

    run(main)


def test_reads_at_once_each_get_their_own_place(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:

            async def read(number: int) -> bytes:
                buf = bytearray(16)
                await uring_file.read_exactly_at(buf, number)
                return bytes(buf)

            assert await gather(read, 300) == [PATTERN[n : n + 16] for n in range(300)]

    run(main)


def test_data_are_made_durable(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=driver, cached_reads="ring") as uring_file:
            await uring_file.write_all_at(b"kept", 0)
            await uring_file.fdatasync()
            await uring_file.fsync()

    run(main)


def test_kernel_errors_carry_errno_and_path(
    run: Run, driver: DriverName, file: Path, fifo: Path
) -> None:
    async def main() -> None:
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:
            with pytest.raises(OSError, match="Bad file descriptor") as caught:
                await uring_file.write_at(b"no", 0)
            assert caught.value.filename == str(file)
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            for sync in (uring_file.fsync, uring_file.fdatasync):
                with pytest.raises(OSError, match="Invalid argument") as caught:
                    await sync()
                assert caught.value.filename == str(fifo)

    run(main)


def test_a_write_that_stops_half_way_is_an_error(
    run: Run, driver: DriverName, tmp_path: Path
) -> None:
    path = tmp_path / "large"

    async def main() -> None:
        async with await open_file(path, "w+", driver=driver, cached_reads="ring") as uring_file:
            with pytest.raises(OSError, match="File too large") as caught:
                await uring_file.write_all_at(b"x" * 4096, LIMIT - 1000)
            assert caught.value.filename == str(path)

    # Python ignores SIGXFSZ, with which the kernel says the same.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, hard))
    try:
        run(main)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.stat().st_size == LIMIT


def test_a_disk_that_takes_nothing_more_is_an_error(run: Run, driver: DriverName) -> None:
    async def main() -> None:
        async with await open_file(
            "/dev/full", "r+", driver=driver, cached_reads="ring"
        ) as uring_file:
            with pytest.raises(OSError, match="No space left on device"):
                await uring_file.write_all_at(b"data", 0)

    run(main)


def test_a_file_says_what_it_is(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        uring_file = await open_file(file, driver=driver, cached_reads="ring")
        assert uring_file.name == str(file)
        assert os.path.samestat(os.fstat(uring_file.fileno()), file.stat())
        fd = uring_file.fileno()
        states = [uring_file.closed]
        assert repr(uring_file) == f"<asyncuring.UringFile {str(file)!r}, fd {fd}, {driver}>"
        await uring_file.aclose()
        assert [*states, uring_file.closed] == [False, True]
        assert repr(uring_file) == f"<asyncuring.UringFile {str(file)!r}, closed>"
        with pytest.raises(asyncuring.ClosedFileError, match="is closed"):
            uring_file.fileno()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)
        await uring_file.aclose()

    run(main)
