"""The file objects of the fsspec file system: one for blocking callers, one for tasks."""

from __future__ import annotations

import asyncio
import os
import sys
import weakref
from typing import TYPE_CHECKING, Any

from fsspec.asyn import AbstractAsyncStreamedFile, sync
from fsspec.spec import AbstractBufferedFile

import asyncuring

from ._drafts import Draft, make_directories
from ._ranges import read_bytes, size_of

if TYPE_CHECKING:
    from .fsspec import UringFileSystem

__all__ = ["StreamedFile", "UringBufferedFile"]


class _Ends:
    """What is open behind a file object: a file that is read or appended to, or a draft."""

    def __init__(self, fs: UringFileSystem, path: str, mode: str) -> None:
        self._driver = fs.kept_driver
        self._path = path
        self._mode = mode
        self._process = os.getpid()
        self._draft: Draft | None = None
        self._file: asyncuring.UringFile | asyncuring.AppendingFile | None = None

    @property
    def may_end(self) -> bool:
        """Whether a loop can still be asked for anything: not at exit, nor in a forked child."""
        return self._process == os.getpid() and not sys.is_finalizing()

    async def open(self) -> int:
        """Open what is read or appended to; returns its size in bytes."""
        driver = self._driver.keep()
        if self._mode == "rb":
            self._file = await asyncuring.open_file(self._path, driver=driver)
        elif self._mode == "ab":
            await make_directories(os.path.dirname(self._path), driver)
            self._file = await asyncuring.open_file(self._path, "a", driver=driver)
        else:
            if self._mode == "xb":
                await self._refuse_if_there()
            return 0
        try:
            return size_of(self._file)
        except BaseException:
            await self._file.aclose()
            raise

    async def _refuse_if_there(self) -> None:
        if await asyncio.to_thread(os.path.lexists, self._path):
            raise FileExistsError(self._path)

    async def begin(self) -> None:
        """Begin to write."""
        if self._mode != "ab":
            draft = Draft(self._path, self._driver.keep())
            try:
                await draft.begin()
            except BaseException:
                draft.remove()
                raise
            self._draft, self._file = draft, draft.file

    async def read(self, start: int, end: int) -> bytes:
        """Read a range of the file."""
        assert self._file is not None
        (content,) = await read_bytes(self._file, [(start, end)])
        return content

    async def write(self, data: Any, off: int) -> None:
        """Write the next block."""
        assert self._file is not None
        if isinstance(self._file, asyncuring.AppendingFile):
            while len(data):
                data = data[await self._file.append(data) :]
        else:
            await self._file.write_all_at(data, off)

    async def publish(self) -> None:
        """Give what was written its name."""
        if self._draft is not None:
            draft, self._draft = self._draft, None
            try:
                await draft.publish(exclusive=self._mode == "xb")
            except BaseException:
                draft.remove()
                raise

    async def aclose(self) -> None:
        """Close what is open. A draft that nobody wants any more is removed."""
        self.forget()
        if self._file is not None:
            await self._file.aclose()

    def forget(self) -> None:
        """Remove the draft, if it is this process's."""
        draft, self._draft = self._draft, None
        if draft is not None and self._process == os.getpid():
            draft.remove()


class UringBufferedFile(AbstractBufferedFile):
    """A file for blocking callers: "rb", "wb", "xb" or "ab", as `fs.open` gives it.

    It reads ahead and writes in blocks of 1 MiB, if `block_size` is not given; each block is a
    hand-over to the loop of the file system and back. The file that was opened stays the one that
    is read, whatever takes its name meanwhile. What is written appears with `close`; if a ``with``
    block ends with an exception, not at all.
    """

    DEFAULT_BLOCK_SIZE = 1024 * 1024
    closed: bool

    def __init__(
        self, fs: UringFileSystem, path: str, mode: str = "rb", *args: Any, **options: Any
    ) -> None:
        ends = self._ends = _Ends(fs, path, mode)
        if mode == "ab" and not options.get("autocommit", True):
            message = "what is appended cannot be taken back: not within a transaction"
            raise NotImplementedError(message)
        if mode not in ("rb", "wb", "xb", "ab"):
            message = f"a file of this file system is opened as rb, wb, xb or ab, not {mode!r}"
            raise NotImplementedError(message)
        size = sync(fs.loop, ends.open)
        # Its cache refers to the file object, so that the garbage collection finds it at some time,
        # with all that only it refers to: what is open outlives it here, to be closed in order.
        self._end = weakref.finalize(self, _end_forgotten, ends, fs.loop)
        self._end.atexit = False
        super().__init__(fs, path, mode, *args, **{**options, "size": size})
        if mode == "ab":
            self.loc = size

    def _fetch_range(self, start: int, end: int) -> bytes:
        content: bytes = sync(self.fs.loop, self._ends.read, start, end)
        return content

    def _initiate_upload(self) -> None:
        sync(self.fs.loop, self._ends.begin)

    def _upload_chunk(self, final: bool = False) -> bool:
        with self.buffer.getbuffer() as data:
            sync(self.fs.loop, self._ends.write, data, self.offset)
        if final and self.autocommit:
            self.commit()
        return True

    def commit(self) -> None:
        """Give what was written its name (the end of a transaction)."""
        sync(self.fs.loop, self._ends.publish)
        if not self.autocommit:
            self._aclose()

    def discard(self) -> None:
        """Drop what was written (a transaction that failed)."""
        self._aclose()

    def close(self) -> None:
        """Write what is left, and close."""
        if self.closed:
            return
        try:
            super().close()
        finally:
            if self.autocommit or self.mode == "rb":
                self._aclose()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None and self.mode != "rb":
            self.closed = True
            self._aclose()
        self.close()

    def _aclose(self) -> None:
        self._end.detach()
        sync(self.fs.loop, self._ends.aclose)

    def __del__(self) -> None:
        """Write what is left, where that can be waited for; the rest is `_end_forgotten`'s."""
        waits = asyncio._get_running_loop() is None and self._ends.may_end  # noqa: SLF001  as fsspec
        if not self.closed and self.mode != "rb" and waits:
            self.close()


def _end_forgotten(ends: _Ends, loop: asyncio.AbstractEventLoop) -> None:
    """Close what a file object had open that nobody closed."""
    if ends.may_end:
        asyncio.run_coroutine_threadsafe(ends.aclose(), loop)


class StreamedFile(AbstractAsyncStreamedFile):
    """A file for tasks: "rb" or "wb", as `open_async` gives it. Nothing is read ahead."""

    DEFAULT_BLOCK_SIZE = UringBufferedFile.DEFAULT_BLOCK_SIZE
    closed: bool

    def __init__(self, fs: UringFileSystem, path: str, mode: str, **options: Any) -> None:
        self._ends = _Ends(fs, path, mode)
        if mode not in ("rb", "wb"):
            message = f"open_async opens a file as rb or wb, not {mode!r}"
            raise NotImplementedError(message)
        super().__init__(fs, path, mode, size=0, **options)

    async def begin(self) -> None:
        """Open the file."""
        self.size = await self._ends.open()

    async def _fetch_range(self, start: int, end: int) -> bytes:
        return await self._ends.read(start, min(end, self.size))

    async def _initiate_upload(self) -> None:
        await self._ends.begin()

    async def _upload_chunk(self, final: bool = False) -> bool:
        with self.buffer.getbuffer() as data:
            await self._ends.write(data, self.offset)
        if final:
            await self._ends.publish()
        return True

    async def close(self) -> None:
        """Write what is left, and close."""
        if self.closed:
            return
        try:
            await super().close()
        finally:
            self.closed = True
            await self._ends.aclose()

    async def __aexit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.closed = True
            await self._ends.aclose()
        await self.close()

    def __del__(self) -> None:
        self._ends.forget()
