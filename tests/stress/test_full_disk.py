"""A disk without room: ENOSPC for what needs some, and nobody else; with room it goes on."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest

from asyncuring import open_file
from tests.running import LOOPS, gather
from tests.stress.mounts import ON_DISKS, make_image, mounted, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from asyncuring import UringFile
    from asyncuring._runtime import DriverName

MEGABYTE = 1 << 20
CLIENTS, BLOCK = 16, 4096


def fill(path: Path) -> None:
    """Give all the room that is left to one file."""
    size, end = 1 << 30, 0
    with path.open("wb") as file:
        while size >= BLOCK:
            if has_room(file.fileno(), end, size):
                end += size
            else:
                size //= 2
        os.fsync(file.fileno())


def has_room(fd: int, off: int, length: int) -> bool:
    try:
        os.posix_fallocate(fd, off, length)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
    return True


async def errno_of(operation: Any) -> int | None:
    try:
        await operation
    except OSError as error:
        return error.errno
    return None


async def grow(uring_file: UringFile) -> int | None:
    """Write at the end until there is no room, at most 64 MiB; the errno that says so."""
    chunk = bytes(MEGABYTE)
    for number in range(64):
        number_or_none = await errno_of(uring_file.write_all_at(chunk, number * MEGABYTE))
        if number_or_none is not None:
            return number_or_none
    return None


async def use_full_disk(disk: Path, healthy: Path, driver: DriverName) -> None:
    fill(disk / "all the rest")
    async with (
        await open_file(disk / "victim", "r+", driver=driver) as victim,
        await open_file(disk / "read", driver=driver, cached_reads="ring") as read,
        await open_file(healthy, "r+", driver=driver) as other,
    ):
        assert await grow(victim) == errno.ENOSPC

        async def one(number: int) -> int | None:
            if number % 3 == 0:
                return await errno_of(victim.allocate(0, 256 * MEGABYTE))
            if number % 3 == 1:
                return await errno_of(read.read_exactly_at(bytearray(BLOCK), 0))
            return await errno_of(other.write_all_at(bytes(BLOCK), number * BLOCK))

        results = await gather(one, 3 * CLIENTS)
        assert set(results[0::3]) == {errno.ENOSPC}
        assert set(results[1::3] + results[2::3]) == {None}

        async def chain_that_stops() -> None:
            async with victim.chain() as chain:
                chain.write_all_at(bytes(64 * MEGABYTE), MEGABYTE)
                chain.fdatasync()
                steps.append(chain.write_all_at(b"mark", 0))

        steps: list[Any] = []
        # It may write a part first, and then is EIO: "only … bytes were written".
        assert await errno_of(chain_that_stops()) in {errno.ENOSPC, errno.EIO}
        assert steps[0].skipped
        await other.fdatasync()
        (disk / "all the rest").unlink()
        run("sync", "--file-system", disk)
        await victim.truncate(0)
        await victim.write_all_at(bytes(MEGABYTE), 0)
        await victim.fdatasync()


@pytest.mark.parametrize("kind", ON_DISKS)
@pytest.mark.usefixtures("uring")
def test_a_full_disk_fails_what_needs_room_and_nothing_else(
    kind: str, tmp_path: Path, note_attack: Callable[..., None]
) -> None:
    make_image(kind, tmp_path / "image")
    healthy = tmp_path / "healthy"
    healthy.write_bytes(b"")
    drivers: list[DriverName] = ["uring", "uring-local", "threads"]
    with mounted(kind, tmp_path / "image", tmp_path / "disk") as disk:
        (disk / "read").write_bytes(bytes(MEGABYTE))
        for driver in drivers:
            for loop in ("asyncio", "trio"):
                (disk / "victim").write_bytes(b"")
                LOOPS[loop](use_full_disk, disk, healthy, driver)
                note_attack(
                    "bad disk",
                    "no room left (loop device)",
                    f"{driver}, {loop}, {kind}",
                    f"writes to the end, {CLIENTS} allocations, a chain; {2 * CLIENTS} others",
                    "ENOSPC for these alone; the chain stopped; with room again, all well",
                )
