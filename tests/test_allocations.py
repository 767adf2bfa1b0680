"""Room for a file, made and given back: on each loop, with each driver."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asyncuring import open_file
from tests.conftest import PATTERN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncuring._runtime import DriverName
    from tests.running import Run

SIZE = len(PATTERN)
BLOCK = 4096

# linux/falloc.h
KEEP_SIZE, PUNCH_HOLE, COLLAPSE_RANGE, ZERO_RANGE, INSERT_RANGE = 0x01, 0x02, 0x08, 0x10, 0x20

# Each with what it makes of PATTERN when asked for (BLOCK, 2 * BLOCK).
HOLE = bytes(2 * BLOCK)
ALLOCATIONS: dict[str, tuple[int, bytes]] = {
    "allocate": (0, PATTERN),
    "zero_range": (ZERO_RANGE, PATTERN[:BLOCK] + HOLE + PATTERN[3 * BLOCK :]),
    "punch_hole": (PUNCH_HOLE | KEEP_SIZE, PATTERN[:BLOCK] + HOLE + PATTERN[3 * BLOCK :]),
    "collapse_range": (COLLAPSE_RANGE, PATTERN[:BLOCK] + PATTERN[3 * BLOCK :]),
    "insert_range": (INSERT_RANGE, PATTERN[:BLOCK] + HOLE + PATTERN[BLOCK:]),
}


def kernel_answer(flags: int, folder: Path, off: int = BLOCK, length: int = 2 * BLOCK) -> int:
    """The errno of fallocate(2) itself on a file like `file` in `folder`; 0 if it can."""
    path = folder / "tried"
    path.write_bytes(PATTERN)
    libc = ctypes.CDLL(None, use_errno=True)
    with path.open("r+b") as tried:
        arguments = tried.fileno(), flags, ctypes.c_int64(off), ctypes.c_int64(length)
        answer = ctypes.get_errno() if libc.fallocate(*arguments) < 0 else 0
    path.unlink()
    return answer


def needs(flags: int, folder: Path) -> None:
    answer = kernel_answer(flags, folder)
    if answer:
        pytest.skip(f"the file system of {folder} answers {errno.errorcode[answer]}")


@pytest.mark.parametrize("what", list(ALLOCATIONS))
def test_allocations_make_of_a_file_what_they_say(
    run: Run, driver: DriverName, file: Path, what: str
) -> None:
    flags, expected = ALLOCATIONS[what]
    needs(flags, file.parent)

    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            await getattr(uring_file, what)(BLOCK, 2 * BLOCK)

    run(main)
    assert file.read_bytes() == expected


@pytest.mark.parametrize("what", ["allocate", "zero_range"])
def test_room_behind_the_end(run: Run, driver: DriverName, file: Path, what: str) -> None:
    needs(ALLOCATIONS[what][0], file.parent)

    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            await getattr(uring_file, what)(SIZE, 1 << 20, keep_size=True)
            status = await uring_file.stat()
            assert status.size == SIZE
            assert status.blocks * 512 >= SIZE + (1 << 20)
            await getattr(uring_file, what)(SIZE, BLOCK)
            assert (await uring_file.stat()).size == SIZE + BLOCK
        assert file.read_bytes() == PATTERN + bytes(BLOCK)

    run(main)


def test_a_hole_gives_its_room_back(run: Run, driver: DriverName, tmp_path: Path) -> None:
    needs(PUNCH_HOLE | KEEP_SIZE, tmp_path)

    async def main() -> None:
        async with await open_file(tmp_path / "full", "w+", driver=driver) as uring_file:
            await uring_file.write_all_at(b"x" * (1 << 20), 0)
            await uring_file.fdatasync()
            before = (await uring_file.stat()).blocks
            await uring_file.punch_hole(0, 1 << 19)
            status = await uring_file.stat()
            assert status.blocks <= before - (1 << 19) // 512
            assert status.size == 1 << 20

    run(main)


@pytest.mark.parametrize("what", ["collapse_range", "insert_range"])
def test_a_range_that_is_no_multiple_of_blocks(
    run: Run, driver: DriverName, file: Path, what: str
) -> None:
    needs(ALLOCATIONS[what][0], file.parent)

    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            with pytest.raises(OSError, match="offset 1 and length 4096 must be mult") as caught:
                await getattr(uring_file, what)(1, BLOCK)
            assert caught.value.errno == errno.EINVAL
            assert caught.value.filename == str(file)

    run(main)
    assert file.read_bytes() == PATTERN


@pytest.fixture
def file_in_memory() -> Iterator[Path]:
    """A file on tmpfs, which cannot do everything."""
    folder = Path("/dev/shm")
    if not folder.is_dir() or not kernel_answer(COLLAPSE_RANGE, folder):
        pytest.skip("/dev/shm is no tmpfs")
    path = folder / f"asyncuring-test-{os.getpid()}"
    path.write_bytes(PATTERN)
    yield path
    path.unlink()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("zero_range", "the file system cannot zero a range"),
        ("collapse_range", "the file system cannot collapse a range"),
        ("insert_range", "the file system cannot insert a range"),
    ],
)
def test_what_the_file_system_lacks_is_named(
    run: Run, driver: DriverName, file_in_memory: Path, what: str, said: str
) -> None:
    async def main() -> None:
        async with await open_file(file_in_memory, "r+", driver=driver) as uring_file:
            with pytest.raises(OSError, match=said) as caught:
                await getattr(uring_file, what)(0, BLOCK)
            assert caught.value.errno == errno.EOPNOTSUPP
            await uring_file.punch_hole(0, BLOCK)

    run(main)
    assert file_in_memory.read_bytes() == bytes(BLOCK) + PATTERN[BLOCK:]
