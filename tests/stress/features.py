"""What file systems differ in: each feature used once, through the public names."""

from __future__ import annotations

import errno
import mmap
from functools import partial
from typing import TYPE_CHECKING, Any

import asyncuring
from asyncuring import open_file

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from asyncuring import UringFile
    from asyncuring._runtime import DriverName

BLOCK = 4096
CONTENT = b"".join(bytes([number]) * BLOCK for number in range(8))
HOLE = bytes(2 * BLOCK)

NO, YES = "no", "yes"


async def _with_file(
    use: Callable[[UringFile], Awaitable[Any]], folder: Path, driver: DriverName, **options: Any
) -> Any:
    (folder / "file").write_bytes(CONTENT)
    async with await open_file(folder / "file", "r+", driver=driver, **options) as uring_file:
        return await use(uring_file)


def _content(folder: Path) -> bytes:
    return (folder / "file").read_bytes()


async def _allocating(
    what: str, expected: bytes, folder: Path, driver: DriverName, **options: bool
) -> None:
    await _with_file(lambda file: getattr(file, what)(BLOCK, 2 * BLOCK, **options), folder, driver)
    assert _content(folder) == expected


async def _direct(folder: Path, driver: DriverName) -> None:
    async def use(uring_file: UringFile) -> None:
        page = mmap.mmap(-1, BLOCK)
        assert await uring_file.read_at(page, BLOCK) == BLOCK
        assert page[:] == CONTENT[BLOCK : 2 * BLOCK]

    await _with_file(use, folder, driver, direct=True)


async def _told(what: str, folder: Path, driver: DriverName) -> str | None:
    async def use(uring_file: UringFile) -> str | None:
        return NO if getattr(await uring_file.stat(), what) is None else None

    result: str | None = await _with_file(use, folder, driver)
    return result


async def _misaligned(folder: Path, driver: DriverName) -> None:
    await _with_file(lambda file: file.read_at(bytearray(100), 17), folder, driver, direct=True)


async def _writing(folder: Path, driver: DriverName, *, direct: bool = False, **flag: bool) -> None:
    page = mmap.mmap(-1, BLOCK)
    page[:] = b"!" * BLOCK

    async def use(uring_file: UringFile) -> None:
        assert await uring_file.write_at(page, BLOCK, **flag) == BLOCK

    await _with_file(use, folder, driver, direct=direct)
    assert _content(folder) == CONTENT[:BLOCK] + page[:] + CONTENT[2 * BLOCK :]


async def _reading(folder: Path, driver: DriverName, **flag: bool) -> None:
    async def use(uring_file: UringFile) -> None:
        page = bytearray(BLOCK)
        await uring_file.read_exactly_at(page, BLOCK)
        assert await uring_file.read_at(page, BLOCK, **flag) == BLOCK
        assert page == CONTENT[BLOCK : 2 * BLOCK]

    await _with_file(use, folder, driver)


async def _copying(folder: Path, driver: DriverName) -> None:
    async def use(uring_file: UringFile) -> None:
        async with await open_file(folder / "copy", "w+", driver=driver) as target:
            assert await uring_file.copy_range(BLOCK, target, 0, BLOCK) == BLOCK
        assert (folder / "copy").read_bytes() == CONTENT[BLOCK : 2 * BLOCK]

    await _with_file(use, folder, driver)


async def _renaming(folder: Path, driver: DriverName, **option: bool) -> None:
    (folder / "a").write_bytes(b"a")
    if "exchange" in option:
        (folder / "b").write_bytes(b"b")
    else:
        (folder / "b").unlink(missing_ok=True)
    await asyncuring.rename(folder / "a", folder / "b", **option, driver=driver)
    assert (folder / "b").read_bytes() == b"a"
    assert (folder / "a").exists() == ("exchange" in option)


async def _linking(folder: Path, driver: DriverName) -> None:
    (folder / "name").write_bytes(b"")
    await asyncuring.link(folder / "name", folder / "second name", driver=driver)
    assert (folder / "name").samefile(folder / "second name")
    await asyncuring.unlink(folder / "second name", driver=driver)


async def _syncing(folder: Path, driver: DriverName) -> None:
    await _with_file(lambda file: file.sync_range(), folder, driver)
    await asyncuring.sync_directory(folder, driver=driver)


async def _locking(folder: Path, driver: DriverName) -> None:
    await _with_file(lambda file: file.lock(wait=False), folder, driver)


AFTER = CONTENT[3 * BLOCK :]

FEATURES: dict[str, Callable[[Path, DriverName], Awaitable[str | None]]] = {
    "``direct=True``": _direct,
    "… of what is not aligned": _misaligned,
    "``stat``: ``direct_io_alignment``": partial(_told, "direct_io_alignment"),
    "``stat``: ``atomic_writes``": partial(_told, "atomic_writes"),
    "``stat``: ``btime_ns``": partial(_told, "btime_ns"),
    "``write_at(…, durable=True)``": partial(_writing, durable=True),
    "``write_at(…, dontcache=True)``": partial(_writing, dontcache=True),
    "``write_at(…, atomic=True)``, with ``direct``": partial(_writing, atomic=True, direct=True),
    "``read_at(…, nowait=True)``": partial(_reading, nowait=True),
    "``read_at(…, dontcache=True)``": partial(_reading, dontcache=True),
    "``allocate``": partial(_allocating, "allocate", CONTENT),
    "``zero_range``": partial(_allocating, "zero_range", CONTENT[:BLOCK] + HOLE + AFTER),
    "``punch_hole``": partial(_allocating, "punch_hole", CONTENT[:BLOCK] + HOLE + AFTER),
    "``collapse_range``": partial(_allocating, "collapse_range", CONTENT[:BLOCK] + AFTER),
    "``insert_range``": partial(
        _allocating, "insert_range", CONTENT[:BLOCK] + HOLE + CONTENT[BLOCK:]
    ),
    "``copy_range`` within it": _copying,
    "``sync_range``, ``sync_directory``": _syncing,
    "``lock``": _locking,
    "``rename(…, replace=False)``": partial(_renaming, replace=False),
    "``rename(…, exchange=True)``": partial(_renaming, exchange=True),
    "``link``": _linking,
}


async def try_feature(name: str, folder: Path, driver: DriverName) -> str:
    """ "yes", "no", or the name of the errno with which `folder`'s file system refuses."""
    try:
        return await FEATURES[name](folder, driver) or YES
    except OSError as error:
        if error.errno is None:
            raise
        return errno.errorcode[error.errno].replace("ENOTSUP", "EOPNOTSUPP")
