"""What can be done with a file besides reading and writing: on each loop, with each driver."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import stat
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import pytest

import asyncuring
from asyncuring import ClosedFileError, DirectIOAlignment, open_file
from tests.conftest import PATTERN
from tests.held import in_flight
from tests.page_cache import resident
from tests.running import Task, checkpoint, until

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring import UringFile
    from asyncuring._runtime import DriverName
    from tests.running import Run

SIZE = len(PATTERN)


# -- stat


def test_stat_tells_what_the_system_does(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> asyncuring.FileStatus:
        async with await open_file(file, driver=driver) as uring_file:
            return await uring_file.stat()

    os.link(file, file.with_name("second name"))
    os.utime(file, ns=(-1_500_000_000, 1_234_567_890_123_456_789))
    status, expected = run(main), file.stat()
    for name in ("size", "blocks", "mode", "uid", "gid", "nlink", "atime_ns", "mtime_ns"):
        assert getattr(status, name) == getattr(expected, f"st_{name}"), name
    assert status.ctime_ns == expected.st_ctime_ns
    assert (status.inode, status.device) == (expected.st_ino, expected.st_dev)
    assert stat.S_ISREG(status.mode)
    assert status.btime_ns is None or 0 < status.btime_ns <= status.ctime_ns


def test_stat_tells_what_direct_io_wants(run: Run, driver: DriverName, file: Path) -> None:
    """An operation that keeps to it is done; one that keeps to half of it is not."""

    async def main() -> None:
        async with await open_file(file, driver=driver, direct=True) as uring_file:
            wanted = (await uring_file.stat()).direct_io_alignment
            if wanted is None:
                pytest.skip("this file system or kernel does not tell")
            assert isinstance(wanted, DirectIOAlignment)
            with mmap.mmap(-1, wanted.offset) as memory:
                assert await uring_file.read_at(memory, wanted.offset) == wanted.offset
                with pytest.raises(OSError, match="multiples of") as caught:
                    await uring_file.read_at(memory, wanted.offset // 2)
                assert caught.value.errno == errno.EINVAL

    run(main)


def test_stat_of_what_is_no_regular_file(run: Run, driver: DriverName, fifo: Path) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver) as uring_file:
            status = await uring_file.stat()
            assert stat.S_ISFIFO(status.mode)
            assert status.atomic_writes is None

    run(main)


def test_a_status_is_read_from_the_kernels_own_layout() -> None:
    """What no file here has: an unknown birth, atomic writes."""
    statx = bytearray(256)
    statx[0:4] = (0x7FF | 0x10000).to_bytes(4, "little")
    statx[168:180] = b"".join(n.to_bytes(4, "little") for n in (512, 16384, 1))
    statx[152:160] = b"\xff" * 8  # not in the mask, so nothing
    status = asyncuring.FileStatus.from_statx(statx)
    assert status.atomic_writes == asyncuring.AtomicWrites(512, 16384, 1)
    assert (status.btime_ns, status.direct_io_alignment) == (None, None)


# -- its size


def test_truncate_cuts_and_grows(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            await uring_file.truncate(1000)
            assert file.read_bytes() == PATTERN[:1000]
            await uring_file.truncate(3000)
            assert file.read_bytes() == PATTERN[:1000] + bytes(2000)
            await uring_file.truncate(2**40)
            assert file.stat().st_size == 2**40
            await uring_file.truncate(0)
            assert file.read_bytes() == b""

    run(main)


# -- the page cache


def test_what_is_sent_to_the_disk_can_be_dropped_from_the_cache(
    run: Run, driver: DriverName, tmp_path: Path
) -> None:
    path = tmp_path / "large"

    async def main() -> None:
        async with await open_file(path, "w+", driver=driver) as uring_file:
            await uring_file.write_all_at(b"x" * (1 << 20), 0)
            cached = resident(path)
            await uring_file.sync_range(0, 1 << 19, wait=False)
            await uring_file.sync_range()
            await uring_file.advise("dontneed")
            if resident(path) == cached > 0:
                fd = uring_file.fileno()
                os.fsync(fd)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                assert resident(path) == cached, "the system could drop what advise did not"
                pytest.skip("this file system keeps everything in memory")
            await uring_file.advise("willneed")
            await uring_file.advise("dontneed", 0, 1 << 40)  # more than an SQE has bits for
            await uring_file.sync_range(1 << 40, 1 << 40)

    run(main)
    assert path.read_bytes() == b"x" * (1 << 20)


def test_every_advice_is_taken(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, driver=driver) as uring_file:
            for advice in get_args(asyncuring.Advice):
                await uring_file.advise(advice)
            unknown: Any = "none"
            with pytest.raises(ValueError, match="there is no advice 'none'"):
                await uring_file.advise(unknown)

    run(main)


def test_what_has_no_page_cache_is_not_advised_of(run: Run, driver: DriverName, fifo: Path) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver) as stream:
            for call in (partial(stream.advise, "willneed"), stream.sync_range):
                with pytest.raises(OSError, match="Illegal seek") as caught:
                    await call()
                assert caught.value.errno == errno.ESPIPE
                assert caught.value.filename == str(fifo)

    run(main)


# -- copying


def test_a_range_is_copied(run: Run, driver: DriverName, file: Path, tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            await open_file(file, driver=driver) as source,
            await open_file(tmp_path / "target", "w+", driver=driver) as target,
        ):
            assert await source.copy_range(100, target, 50, 1000) == 1000
            assert await source.copy_range(SIZE - 10, target, 0, 1000) == 10
            assert await source.copy_range(SIZE, target, 0, 1000) == 0
            assert await source.copy_range(0, target, 0, 0) == 0

    run(main)
    expected = PATTERN[-10:] + bytes(40) + PATTERN[100:1100]
    assert (tmp_path / "target").read_bytes() == expected


def test_a_copy_is_longer_than_what_one_call_copies(
    run: Run, driver: DriverName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncuring._file_calls._COPY_MAX", 64 * 1024)
    content = PATTERN * 15 + b"end"

    async def main() -> None:
        async with (
            await open_file(tmp_path / "source", "w+", driver=driver) as source,
            await open_file(tmp_path / "target", "w+", driver=driver) as target,
        ):
            await source.write_all_at(content, 0)
            assert await source.copy_range(0, target, 1, len(content)) == len(content)

    run(main)
    assert (tmp_path / "target").read_bytes() == b"\0" + content


def test_a_copy_within_one_file_may_not_overlap(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            assert await uring_file.copy_range(0, uring_file, 8192, 4096) == 4096
            with pytest.raises(OSError, match="must not overlap in one file") as caught:
                await uring_file.copy_range(0, uring_file, 100, 4096)
            assert caught.value.errno == errno.EINVAL

    run(main)
    assert file.read_bytes() == PATTERN[:8192] + PATTERN[:4096] + PATTERN[12288:]


def test_a_copy_within_one_file_ends_where_the_file_ended(
    run: Run, driver: DriverName, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the copy itself lengthens it; in one piece and in several."""

    async def main(pieces_max: int) -> None:
        monkeypatch.setattr("asyncuring._file_calls._COPY_MAX", pieces_max)
        async with await open_file(file, "r+", driver=driver) as uring_file:
            await uring_file.truncate(SIZE)
            assert await uring_file.copy_range(0, uring_file, SIZE, 10 * SIZE) == SIZE
            assert await uring_file.copy_range(9 * SIZE, uring_file, 0, SIZE) == 0

    for pieces_max in (64 * SIZE, SIZE // 4):
        run(main, pieces_max)
        assert file.read_bytes() == PATTERN * 2


def test_a_copy_to_what_is_not_to_be_written(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with (
            await open_file(file, driver=driver) as source,
            await open_file(file, driver=driver) as target,
        ):
            with pytest.raises(OSError, match="the target for writing") as caught:
                await source.copy_range(0, target, 8192, 10)
            assert caught.value.errno == errno.EBADF

    run(main)


def test_a_copy_to_what_is_no_file(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, driver=driver) as source:
            descriptor: Any = source.fileno()
            with pytest.raises(TypeError, match="must be an open UringFile, not int"):
                await source.copy_range(0, descriptor, 0, 10)

    run(main)


def test_a_copy_between_closed_files(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as opened:
            closed = await open_file(file, "r+", driver=driver)
            await closed.aclose()
            with pytest.raises(ClosedFileError):
                await opened.copy_range(0, closed, 0, 10)
            with pytest.raises(ClosedFileError):
                await closed.copy_range(0, opened, 0, 10)

    run(main)


# -- arguments and ends


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("truncate", (-1,)),
        ("truncate", (2**63,)),
        ("allocate", (0, 0)),
        ("allocate", (-1, 1)),
        ("punch_hole", (2**63 - 1, 1)),
        ("zero_range", (0, -1)),
        ("collapse_range", (0, 0)),
        ("insert_range", (0, 2**63)),
        ("sync_range", (-1, 0)),
        ("advise", ("normal", 0, -1)),
    ],
)
def test_what_cannot_be_a_range_is_refused(
    run: Run, driver: DriverName, file: Path, name: str, arguments: tuple[Any, ...]
) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            with pytest.raises(ValueError, match="must be between"):
                await getattr(uring_file, name)(*arguments)
            with pytest.raises(TypeError):
                await getattr(uring_file, name)(
                    *(1.5 if isinstance(argument, int) else argument for argument in arguments)
                )

    run(main)
    assert file.read_bytes() == PATTERN


CALLS: dict[str, tuple[Any, ...]] = {
    "stat": (),
    "truncate": (1,),
    "allocate": (0, 1),
    "sync_range": (),
    "advise": ("normal",),
    "lock": (),
    "unlock": (),
}


@pytest.mark.parametrize("name", list(CALLS))
def test_a_closed_file_takes_no_calls(run: Run, driver: DriverName, file: Path, name: str) -> None:
    async def main() -> None:
        uring_file = await open_file(file, "r+", driver=driver)
        await uring_file.aclose()
        with pytest.raises(ClosedFileError):
            await getattr(uring_file, name)(*CALLS[name])

    run(main)
    assert file.read_bytes() == PATTERN


def test_a_change_waits_for_the_barrier_before_it(run: Run, driver: DriverName, fifo: Path) -> None:
    """A write to a full FIFO is before the barrier; what would change the file waits behind."""

    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as stream:
            capacity = fcntl.fcntl(stream.fileno(), fcntl.F_GETPIPE_SZ)
            assert await stream.write_at(bytes(capacity), 0) == capacity
            write = await in_flight(stream.write_at, b"y", 0)
            barrier = Task.start(stream.barrier)
            await checkpoint()
            change = Task.start(stream.sync_range)
            assert stat.S_ISFIFO((await stream.stat()).mode)
            assert not change.done
            os.read(stream.fileno(), capacity)
            await write.join()
            await barrier.join()
            with pytest.raises(OSError, match="Illegal seek"):
                await change.join()

    run(main)


def test_a_file_is_closed_after_the_calls_on_it(run: Run, driver: DriverName, file: Path) -> None:
    """The target of a copy counts as in use, too."""

    async def main() -> None:
        source = await open_file(file, driver=driver)
        target = await open_file(file.with_name("target"), "w+", driver=driver)
        copying = Task.start(source.copy_range, 0, target, 0, SIZE)
        await until(lambda: _is_busy(target) or copying.done)
        closing = Task.start(target.aclose)
        assert await copying.join() == SIZE
        await closing.join()
        await source.aclose()

    run(main)
    assert file.with_name("target").read_bytes() == PATTERN


def _is_busy(uring_file: UringFile) -> bool:
    return any(account.ops > 0 for account in uring_file._ordered.values())
