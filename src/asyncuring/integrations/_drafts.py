"""Files that appear under their name whole or not at all. Knows no event loop.

`asyncuring.replace_file` does this for what must be durable. Here most is not, several steps may go
by before the last byte is there, and directories are made on the way.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

import asyncuring

if TYPE_CHECKING:
    import sys

    from asyncuring._runtime import DriverName

    if sys.version_info >= (3, 12):
        from collections.abc import Buffer
    else:
        from typing_extensions import Buffer

__all__ = ["Draft", "is_draft", "put", "put_copy"]

# As of `replace_file`: nobody's, to be removed by whoever owns the directory.
_PREFIX = ".asyncuring-"

# What is copied at once: large enough that the steps between two of them do not count.
_COPY_BYTES = 4 * 1024 * 1024


def is_draft(name: str) -> bool:
    """Return whether a name in a directory is that of a file that is not finished."""
    return name.startswith(_PREFIX)


class Draft:
    """A temporary file beside the one that it is going to be.

    file: open for writing, until it is published.
    """

    def __init__(self, path: str, driver: DriverName | None) -> None:
        """Begin nothing yet: await `begin`."""
        self._path = path
        self._driver = driver
        self._temporary = os.path.join(os.path.dirname(path), _PREFIX + secrets.token_hex(8))
        self.file: asyncuring.UringFile

    async def begin(self) -> None:
        """Create the temporary file, and the directories above it that are missing."""
        try:
            self.file = await self._create()
        except FileNotFoundError:
            await make_directories(os.path.dirname(self._path), self._driver)
            self.file = await self._create()

    async def _create(self) -> asyncuring.UringFile:
        return await asyncuring.open_file(self._temporary, "x+", driver=self._driver)

    async def publish(self, *, exclusive: bool = False, durable: bool = False) -> None:
        """Give the file its name.

        exclusive: `FileExistsError` if there is one of that name, instead of replacing it.
        durable: it survives a crash from now on, if the directories above do.
        """
        if durable:
            await self.file.fdatasync()
        await self.file.aclose()
        if exclusive:
            await asyncuring.link(self._temporary, self._path, driver=self._driver)
            await asyncuring.unlink(self._temporary, driver=self._driver)
        else:
            await asyncuring.rename(self._temporary, self._path, driver=self._driver)
        if durable:
            await asyncuring.sync_directory(os.path.dirname(self._path), driver=self._driver)

    def remove(self) -> None:
        """Remove the temporary file, if there is one still.

        In the calling thread: also a task that is being cancelled or destroyed can do this.
        """
        with suppress(FileNotFoundError):
            os.unlink(self._temporary)


async def put(
    path: str,
    data: Buffer,
    driver: DriverName | None,
    *,
    exclusive: bool = False,
    durable: bool = False,
) -> None:
    """Give the file at `path` new content, or create it; see `Draft.publish`."""
    draft = Draft(path, driver)
    try:
        await draft.begin()
        async with draft.file:
            await draft.file.write_all_at(data, 0)
            await draft.publish(exclusive=exclusive, durable=durable)
    except BaseException:
        draft.remove()
        raise


async def put_copy(
    source: str, target: str, driver: DriverName | None, *, exclusive: bool = False
) -> int:
    """Give the file at `target` the content of `source`; returns how many bytes that are."""
    draft = Draft(target, driver)
    try:
        async with await asyncuring.open_file(source, driver=driver) as original:
            await draft.begin()
            async with draft.file:
                off = 0
                with memoryview(bytearray(_COPY_BYTES)) as piece:
                    while count := await original.read_at(piece, off):
                        await draft.file.write_all_at(piece[:count], off)
                        off += count
                await draft.publish(exclusive=exclusive)
    except BaseException:
        draft.remove()
        raise
    return off


async def make_directories(path: str, driver: DriverName | None) -> None:
    """Make a directory and those above it, where they are missing; somebody else may, too.

    Raises:
        FileExistsError: there is something else of that name.
    """
    try:
        await asyncuring.mkdir(path, driver=driver)
    except FileNotFoundError:
        await make_directories(os.path.dirname(path), driver)
        await make_directories(path, driver)
    except FileExistsError:
        if not os.path.isdir(path):  # noqa: ASYNC240  the kernel has just looked it up
            raise
