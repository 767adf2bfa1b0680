"""For packages that return new bytes, and cannot read into a buffer of the caller's.

Their clients get away without the copy into the own buffer, unless somebody looks at it.
What they write must be bytes of its own, so there a client makes the copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import mmap
    from collections.abc import Awaitable, Callable
    from typing import Any

    from asyncuring.benchmark.grouping import Commit
    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.workload import Op

    ReadBytes = Callable[[Any], Awaitable[bytes | bytearray]]
    """Return the block at a byte offset, or the file of a path."""
    WriteBytes = Callable[[bytes, int], Awaitable[int]]
    Sync = Callable[[], Awaitable[object]]


def reading(read: ReadBytes, trial: Trial) -> Op:
    """Return ``read`` as a client calls it."""

    async def counted(_buf: mmap.mmap, what: object) -> int:
        return len(await read(what))

    async def copied(buf: mmap.mmap, what: object) -> int:
        data = await read(what)
        buf[: len(data)] = data
        return len(data)

    return copied if trial.verify else counted


def writing(write: WriteBytes) -> Op:
    """Return ``write`` as a client calls it."""

    async def write_at(buf: mmap.mmap, off: int) -> int:
        return await write(buf[:], off)

    return write_at


def appending(write: WriteBytes, sync: Sync) -> Op:
    """Return a write and a sync, one after the other, as a client calls them."""

    async def append(buf: mmap.mmap, off: int) -> int:
        count = await write(buf[:], off)
        await sync()
        return count

    return append


def committing(write: WriteBytes, sync: Sync) -> Commit:
    """Return the same for a group of records: one write of all of them, and one sync."""

    async def commit(buffers: list[mmap.mmap], off: int) -> int:
        count = await write(b"".join(buffers), off)
        await sync()
        return count

    return commit
