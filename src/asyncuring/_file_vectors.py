"""Reads and writes of many buffers, and those with flags. Knows no event loop, no driver and no C.

What has neither, the hot path, is in `_file.py`.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from ._arguments import checked_offset, pinned_buffers
from ._errors import CANCELLED, os_error
from ._file_calls import FileCalls
from ._flags import ATOMIC, DONTCACHE, DURABLE, NOWAIT, lack_of
from ._op import FLAGS_SHIFT, BufferCount, Opcode
from ._runtime import quick_loop_key

if TYPE_CHECKING:
    import sys
    from collections.abc import Iterable

    from ._account import Account

    if sys.version_info >= (3, 12):
        from collections.abc import Buffer
    else:
        from typing_extensions import Buffer

__all__ = ["FileVectors"]


class FileVectors(FileCalls):
    """A file that scatters what it reads, and gathers what it writes."""

    async def readv_at(
        self, bufs: Iterable[Buffer], off: int, *, nowait: bool = False, dontcache: bool = False
    ) -> int:
        """Read one range of the file into several buffers, in their order: one preadv2(2).

        Args:
            bufs: writable C-contiguous buffers, 1024 at most (IOV_MAX). Each is exported until the
                read is done.
            off: in bytes, from the start of the file.
            nowait: see `read_at`.
            dontcache: see `read_at`.

        Returns:
            The number of bytes read: the buffers are filled one after the other, and as with
            `read_at` it may be less than they have room for.

        Raises:
            OSError, BlockingIOError: as `read_at`.
            TypeError, BufferError, ValueError: buffers or offset cannot be used, or there are too
                many; nothing was read.
            ClosedFileError: the file is closed.
        """
        flags = _read_flags(nowait, dontcache)
        account = self._accounts.get(quick_loop_key()) or self._account()
        off = checked_offset(off)
        pins = pinned_buffers(self._pin, bufs, True)
        return await self._flagged(account, Opcode.READV, flags, pins, off)

    async def writev_at(
        self,
        bufs: Iterable[Buffer],
        off: int,
        *,
        durable: bool = False,
        atomic: bool = False,
        dontcache: bool = False,
    ) -> int:
        """Write several buffers, in their order, to one range of the file: one pwritev2(2).

        Args:
            bufs: C-contiguous buffers, 1024 at most (IOV_MAX). Do not change them until the write
                is done.
            off: in bytes, from the start of the file.
            durable: see `write_at`.
            atomic: see `write_at`; a file's `stat` also limits the number of buffers then.
            dontcache: see `write_at`.

        Returns:
            The number of bytes written, as of `write_at`.

        Raises:
            OSError: as `write_at`.
            TypeError, BufferError, ValueError: buffers or offset cannot be used, or there are too
                many; nothing was written.
            ClosedFileError: the file is closed.
        """
        flags = _write_flags(durable, atomic, dontcache)
        account = await self._account_for_change()
        off = checked_offset(off)
        pins = pinned_buffers(self._pin, bufs, False)
        return await self._flagged(account, Opcode.WRITEV, flags, pins, off)

    async def _read_flagged(self, buf: Buffer, off: int, nowait: bool, dontcache: bool) -> int:
        """`read_at` with flags; the kernel's own way, past the inline attempt and the sides."""
        flags = _read_flags(nowait, dontcache)
        account = self._accounts.get(quick_loop_key()) or self._account()
        off = checked_offset(off)
        return await self._flagged(
            account, Opcode.READ, flags, pinned_buffers(self._pin, [buf], True), off
        )

    async def _write_flagged(
        self, buf: Buffer, off: int, durable: bool, atomic: bool, dontcache: bool
    ) -> int:
        """`write_at` with flags."""
        flags = _write_flags(durable, atomic, dontcache)
        account = await self._account_for_change()
        off = checked_offset(off)
        return await self._flagged(
            account, Opcode.WRITE, flags, pinned_buffers(self._pin, [buf], False), off
        )

    async def _flagged(
        self, account: Account, opcode: Opcode, flags: int, pins: list[Any], off: int
    ) -> int:
        length = sum(map(len, pins))
        vectored = opcode in (Opcode.READV, Opcode.WRITEV)
        number = opcode | flags << FLAGS_SHIFT
        count = BufferCount(len(pins), length) if vectored else length
        completing = account.complete(
            number, self._fd, self._vectors(pins) if vectored else pins[0], count, off
        )
        pins.clear()  # the caller's too: its frame must not keep the buffers exported
        result = await completing
        if result < 0:
            raise await self._flagged_error(result, flags, length, off)
        return result

    async def _flagged_error(self, result: int, flags: int, length: int, off: int) -> Exception:
        if result == CANCELLED and self._leased is None:
            return self._closed_error()
        if flags and result == -errno.EOPNOTSUPP:
            return os_error(result, self._name, lack_of(flags))
        if flags & ATOMIC and result == -errno.EINVAL:
            limits = (await self.stat()).atomic_writes
            detail = (
                f"an atomic write has a power of two of bytes as its length and a multiple of that "
                f"as its offset; this file admits {limits} (got offset {off}, length {length})"
            )
            return os_error(result, self._name, detail)
        return self._error(result, length, off)


def _read_flags(nowait: bool, dontcache: bool) -> int:
    return (NOWAIT if nowait else 0) | (DONTCACHE if dontcache else 0)


def _write_flags(durable: bool, atomic: bool, dontcache: bool) -> int:
    return (DURABLE if durable else 0) | (ATOMIC if atomic else 0) | (DONTCACHE if dontcache else 0)
