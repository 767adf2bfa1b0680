"""Files opened to append: on each loop, with each driver."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

import pytest

from asyncuring import AppendingFile, open_file
from tests.conftest import PATTERN
from tests.running import gather

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run


@pytest.mark.parametrize("mode", ["a", "a+"])
def test_what_is_appended_stands_at_the_end(
    run: Run, driver: DriverName, file: Path, mode: Any
) -> None:
    async def main() -> None:
        async with await open_file(file, mode, driver=driver) as log:
            assert isinstance(log, AppendingFile)
            assert await log.append(b"one") == 3
            os.truncate(file, 10)
            assert await log.append(b"two", durable=True) == 3
            with file.open("ab") as other:
                other.write(b"other")
            assert await log.append(bytearray(b"three")) == 5
            await log.fdatasync()

    run(main)
    assert file.read_bytes() == PATTERN[:10] + b"twootherthree"


def test_a_file_is_created_to_append(run: Run, driver: DriverName, tmp_path: Path) -> None:
    async def main() -> None:
        async with await open_file(tmp_path / "log", "a+", driver=driver) as log:
            await log.append(b"first")
            buf = bytearray(5)
            assert await log.read_at(buf, 0) == 5
            assert buf == b"first"

    run(main)


def test_appends_at_once_do_not_mix(run: Run, driver: DriverName, tmp_path: Path) -> None:
    path = tmp_path / "log"

    async def main() -> None:
        async with await open_file(path, "a", driver=driver) as log:

            async def append(number: int) -> int:
                return await log.append(bytes([number]) * 1000)

            assert await gather(append, 100) == [1000] * 100

    run(main)
    content = path.read_bytes()
    pieces = [content[at : at + 1000] for at in range(0, len(content), 1000)]
    assert sorted(pieces) == [bytes([number]) * 1000 for number in range(100)]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("write_at", (b"x", 0)),
        ("write_all_at", (b"x", 0)),
        ("write_many_at", ([(b"x", 0)],)),
        ("writev_at", ([b"x"], 0)),
    ],
)
def test_writes_to_an_offset_are_refused(
    run: Run, driver: DriverName, file: Path, name: str, arguments: tuple[Any, ...]
) -> None:
    async def main() -> None:
        async with await open_file(file, "a+", driver=driver) as log:
            with pytest.raises(io.UnsupportedOperation, match=f"{name} on .* use append"):
                await getattr(log, name)(*arguments)

    run(main)
    assert file.read_bytes() == PATTERN


def test_a_copy_into_a_file_to_append_is_refused(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with (
            await open_file(file, driver=driver) as source,
            await open_file(file.with_name("log"), "a", driver=driver) as log,
        ):
            with pytest.raises(OSError, match="not to append"):
                await source.copy_range(0, log, 0, 10)

    run(main)


def test_only_to_append_is_not_to_read(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, "a", driver=driver) as log:
            with pytest.raises(OSError, match="Bad file descriptor"):
                await log.read_at(bytearray(1), 0)

    run(main)
