"""What file systems can do with a file: the table of docs/howto.rst, tried."""

from __future__ import annotations

import errno
import mmap
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asyncuring import open_file
from tests.running import run_asyncio
from tests.stress.mounts import FILE_SYSTEMS, make_image, mounted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncuring import UringFile
    from asyncuring._runtime import DriverName

HOWTO = Path(__file__).parent.parent.parent / "docs" / "howto.rst"
BLOCK = 4096


def documented() -> dict[str, dict[str, bool]]:
    """The table, by method and file system."""
    _, _, table = HOWTO.read_text().partition("Make room in advance")
    rows = [line.split() for line in re.findall(r"^``\w+``  .*|^\\ .*", table, re.MULTILINE)]
    (_, *names), *methods = rows
    return {
        method.strip("`"): {name: word == "yes" for name, word in zip(names, words, strict=True)}
        for method, *words in methods
    }


@pytest.fixture(params=FILE_SYSTEMS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(kind: str, tmp_path: Path) -> Iterator[Path]:
    image = None if kind == "tmpfs" else tmp_path / "image"
    if image is not None:
        make_image(kind, image)
    with mounted(kind, image, tmp_path / "mounted") as point:
        yield point


async def can(uring_file: UringFile, method: str) -> bool:
    try:
        await getattr(uring_file, method)(BLOCK, 2 * BLOCK)
    except OSError as error:
        refusal = error
    else:
        return True
    assert refusal.errno == errno.EOPNOTSUPP
    assert "the file system cannot" in str(refusal)
    return False


def test_the_manual_says_what_each_file_system_can(
    driver: DriverName, kind: str, folder: Path
) -> None:
    table = documented()
    assert len(table) == 5

    async def main() -> None:
        async with await open_file(folder / "file", "w+", driver=driver) as uring_file:
            for method, expected in table.items():
                await uring_file.write_all_at(bytes(range(256)) * 128, 0)
                assert await can(uring_file, method) == expected[kind], method

    run_asyncio(main)


def test_atomic_writes_where_there_are_any(driver: DriverName, kind: str, folder: Path) -> None:
    async def main() -> None:
        (folder / "file").write_bytes(bytes(1 << 16))
        async with await open_file(folder / "file", "r+", driver=driver, direct=True) as uring_file:
            limits = (await uring_file.stat()).atomic_writes
            if limits is None:
                pytest.skip(f"neither this {kind} nor its device promises any")
            with mmap.mmap(-1, limits.minimum) as memory:
                memory.write(b"x" * limits.minimum)
                count = await uring_file.write_at(memory, limits.minimum, atomic=True)
                assert count == limits.minimum
                with pytest.raises(OSError, match="a power of two") as caught:
                    await uring_file.write_at(memory, limits.minimum // 2, atomic=True)
                assert caught.value.errno == errno.EINVAL
                assert f"minimum={limits.minimum}" in str(caught.value)
            content = (folder / "file").read_bytes()
            assert content.strip(b"\0") == b"x" * limits.minimum

    run_asyncio(main)
