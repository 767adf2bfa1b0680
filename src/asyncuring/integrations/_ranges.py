"""Pieces of files, read into buffers of any kind. Knows no event loop, no zarr and no fsspec."""

from __future__ import annotations

import errno
import io
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncuring

__all__ = ["read_bytes", "read_many", "size_of"]


def size_of(file: asyncuring.UringFile) -> int:
    """Return the size of an open file, in bytes; IsADirectoryError if it is a directory.

    In the calling thread: of a file that was just opened the kernel knows it. It waits where a
    FUSE or network file system wants to be asked each time.
    """
    status = os.fstat(file.fileno())
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), file.name)
    return status.st_size


async def read_many(file: asyncuring.UringFile, requests: Sequence[tuple[memoryview, int]]) -> None:
    """Fill each buffer from its offset; EndOfFileError if the file ends before."""
    if len(requests) == 1:
        await file.read_exactly_at(*requests[0])
        return
    for (buf, off), count in zip(  # noqa: B905  one for each
        requests, await file.read_many_at(requests)
    ):
        if isinstance(count, Exception):
            raise count
        if count < len(buf):  # the kernel stopped early, or the file ends here
            await file.read_exactly_at(buf[count:], off + count)


async def read_bytes(file: asyncuring.UringFile, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    """Read ranges, each from its start to its end, as `bytes`, without a copy.

    What a BytesIO holds it gives away as it is, if nobody has a view of it any more.
    """
    holders = [_holder(end - start) for start, end in ranges]
    requests = [
        (holder.getbuffer(), start)
        for holder, (start, end) in zip(holders, ranges)  # noqa: B905  one for each
        if end > start
    ]
    try:
        await read_many(file, requests)
    finally:
        # Also after a failure: a BytesIO that is garbage together with a view of it complains
        # (CPython 3.13).
        for view, _ in requests:
            view.release()
    return [holder.getvalue() for holder in holders]


def _holder(length: int) -> io.BytesIO:
    holder = io.BytesIO()
    if length > 0:
        holder.seek(length - 1)
        holder.write(b"\0")
    return holder
