"""What a user sees of an operation that failed: his own line, the file, the place in it."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import pytest

from asyncuring import open_file

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring import UringFile
    from asyncuring._runtime import DriverName
    from tests.running import AsyncFunction, Run

OPERATIONS: dict[str, AsyncFunction[object]] = {
    "read_at": lambda file: file.read_at(bytearray(512), 1024),
    "readv_at": lambda file: file.readv_at([bytearray(256), bytearray(256)], 1024),
    "read_exactly_at": lambda file: file.read_exactly_at(bytearray(512), 1024),
}


@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_an_error_names_file_length_and_offset(
    run: Run, driver: DriverName, tmp_path: Path, operation: str
) -> None:
    async def main() -> None:
        async with await open_file(tmp_path, driver=driver) as directory:
            with pytest.raises(IsADirectoryError) as caught:
                await OPERATIONS[operation](directory)
        assert str(caught.value) == (
            f"[Errno 21] Is a directory: 512 bytes at offset 1024: '{tmp_path}'"
        )

    run(main)


def test_each_of_many_requests_has_its_own(run: Run, driver: DriverName, tmp_path: Path) -> None:
    async def main() -> None:
        async with await open_file(tmp_path, driver=driver) as directory:
            requests = [(bytearray(8), 0), (bytearray(16), 32)]
            errors = await directory.read_many_at(requests)
        assert [str(error) for error in errors] == [
            f"[Errno 21] Is a directory: 8 bytes at offset 0: '{tmp_path}'",
            f"[Errno 21] Is a directory: 16 bytes at offset 32: '{tmp_path}'",
        ]

    run(main)


async def _the_line_of_the_caller(uring_file: UringFile) -> None:
    await uring_file.write_at(b"page", 0)


def test_the_traceback_shows_the_line_that_awaits(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, "r", driver=driver) as uring_file:
            with pytest.raises(OSError, match="4 bytes at offset 0") as caught:
                await _the_line_of_the_caller(uring_file)
        frames = traceback.extract_tb(caught.value.__traceback__)
        ours = [frame for frame in frames if frame.filename == __file__]
        assert ours[-1].line == 'await uring_file.write_at(b"page", 0)'
        # One frame below it is ours, for each call; nothing of the loop or of a thread.
        assert len(frames) - frames.index(ours[-1]) == 2

    run(main)
