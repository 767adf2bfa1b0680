"""Open files. Knows no event loop, no driver and no C."""

from __future__ import annotations

import os
from time import perf_counter
from typing import TYPE_CHECKING

from ._arguments import (
    OFFSET_MAX,
    PIN_ERRORS,
    PLAIN_TYPES,
    byte_view,
    checked_offset,
    let_go,
    pinned_requests,
    refuse_objects,
    unusable,
)
from ._errors import EndOfFileError, written_no_more
from ._file_vectors import FileVectors
from ._io_class import current_class
from ._op import Opcode
from ._routes import TIMED
from ._runtime import quick_loop_key
from ._sides import LARGE

if TYPE_CHECKING:
    import sys
    from collections.abc import Iterable

    if sys.version_info >= (3, 12):
        from collections.abc import Buffer
    else:
        from typing_extensions import Buffer


__all__ = ["UringFile"]

_READ, _WRITE = int(Opcode.READ), int(Opcode.WRITE)

# The flags of `read_at` and `write_at` are to be given by name. They are not keyword-only all the
# same, for Python looks up the defaults of such arguments in a dictionary: 30 ns a call (measured).


class UringFile(FileVectors):
    """A file that is read and written at offsets, by any number of tasks at once.

    Made by `open_file`. It may be used from several event loops in several threads at the same
    time; each operation goes through the loop that runs it.

    Cancelling an operation ends its await only when the kernel has let go of the buffer: an
    operation that has not begun ends at once; one under way is asked to stop (io_uring_enter(2),
    IORING_OP_ASYNC_CANCEL) and most file IO runs to its end all the same. On trio it then gives
    its result; on asyncio the cancellation is raised.
    """

    # -- reading

    async def read_at(
        self, buf: Buffer, off: int, nowait: bool = False, dontcache: bool = False
    ) -> int:
        """Read at most len(buf) bytes at offset `off` into `buf`: one pread(2), without a copy.

        Args:
            buf: a writable C-contiguous buffer: bytearray, memoryview, mmap, array, numpy array.
                It is exported until the read is done, so a bytearray cannot be resized meanwhile.
            off: in bytes, from the start of the file.
            nowait: read only what needs no waiting, such as what the page cache has (RWF_NOWAIT,
                Linux 4.14).
            dontcache: let the page cache drop what it had to read for this (RWF_DONTCACHE, Linux
                6.14; ext4, xfs): for scans, which would displace what others need.

        Returns:
            The number of bytes read: fewer than len(buf) only at the end of the file, or when the
            kernel says so (2 147 479 552 bytes at most in one call); 0 at the end of the file.

        Raises:
            OSError: with errno, text and path: EIO, EISDIR, EINVAL (alignment, with `direct`), …;
                EOPNOTSUPP: kernel or file system do not have a flag; the text says what it takes.
            BlockingIOError: with `nowait`, it would have to wait.
            TypeError, BufferError, ValueError: buffer or offset cannot be used; nothing was read.
            ClosedFileError: the file is closed.
        """
        if nowait or dontcache:
            return await self._read_flagged(buf, off, nowait, dontcache)
        account = self._accounts.get(quick_loop_key()) or self._account()
        if type(off) is not int or not 0 <= off <= OFFSET_MAX:
            off = checked_offset(off)
        try:  # here, for a function of its own would cost a tenth of the read
            pin = self._pin(buf, True)
        except PIN_ERRORS as error:
            raise unusable(buf, error) from None
        if type(buf) not in PLAIN_TYPES:
            refuse_objects(buf)
        if (
            (account.proactor.is_calm or self._inline_always)
            and self._inline_reads is not None
            and not (io_class := current_class()).has_rates
        ):
            count = self._inline_reads.try_read(account.read_cached, self._fd, pin, off)
            if count >= 0:
                del pin
                await account.proactor.take_turns(io_class.number)
                return count
        length = len(pin)
        opcode = _READ if length < LARGE else self._sides.large_read_opcode(account.proactor)
        waiter = account.new_waiter()
        try:
            account.perform(waiter, opcode, self._fd, pin, length, off)
            del pin  # who keeps this frame, as a traceback does, must not keep the buffer exported
            result: int = await waiter
        except BaseException as interruption:  # noqa: BLE001  raised there
            result = await account.interrupted(waiter, interruption)
        if result < 0:
            raise self._error(result, length, off)
        return result

    async def read_exactly_at(self, buf: Buffer, off: int) -> None:
        """Read until `buf` is full, with as many `read_at` as that takes.

        Raises:
            OSError, TypeError, BufferError, ValueError, ClosedFileError: as `read_at`.
            EndOfFileError: an EOFError; the file ended before, after its `count` bytes.
        """
        off = checked_offset(off)
        with byte_view(buf) as view:
            count = 0
            while True:
                rest = view[count:]
                try:
                    got = await self.read_at(rest, off + count)
                finally:
                    let_go(rest)
                count += got
                if count == len(view):
                    return
                if got == 0:
                    raise EndOfFileError(count, len(view), os.fsdecode(self._name))

    async def read_many_at(self, requests: Iterable[tuple[Buffer, int]]) -> list[int | Exception]:
        """Read many blocks with one await: `read_at` for each (buf, off).

        They are carried out in no particular order, and none waits for another; the results come
        when all are done. This costs a fraction of as many awaits of `read_at`.

        Args:
            requests: buffers and offsets, each as for `read_at`. A buffer may occur once only.

        Returns:
            For each request, in their order: the number of bytes read, or the `OSError` that
            `read_at` would have raised.

        Raises:
            TypeError, BufferError, ValueError: a request cannot be used; nothing was read.
            ClosedFileError: the file is closed.
        """
        return await self._many(_READ, requests)

    # -- writing

    async def write_at(
        self,
        buf: Buffer,
        off: int,
        durable: bool = False,
        atomic: bool = False,
        dontcache: bool = False,
    ) -> int:
        """Write at most len(buf) bytes at offset `off` from `buf`: one pwrite(2), without a copy.

        Args:
            buf: any C-contiguous buffer. Do not change it until the write is done.
            off: in bytes, from the start of the file; the file grows as needed.
            durable: done when `fdatasync` of these bytes alone would be (RWF_DSYNC, Linux 4.7).
            atomic: a crash leaves all of it or nothing (RWF_ATOMIC, Linux 6.11): with `direct`, on
                file systems and devices that promise it; `stat` tells the lengths (atomic_writes).
            dontcache: let the page cache drop it when it is written out (RWF_DONTCACHE, Linux 6.14;
                ext4, xfs).

        Returns:
            The number of bytes written; fewer than len(buf) when the disk is full, or when the
            kernel says so (2 147 479 552 bytes at most in one call).

        Raises:
            OSError: with errno, text and path: ENOSPC, EIO, EBADF (mode "r"), EFBIG, …;
                EOPNOTSUPP: kernel, file system or device do not have a flag; the text says what it
                takes, and nothing was written.
            TypeError, BufferError, ValueError: buffer or offset cannot be used; nothing was
                written.
            ClosedFileError: the file is closed.
        """
        if durable or atomic or dontcache:
            return await self._write_flagged(buf, off, durable, atomic, dontcache)
        account = self._ordered.get(quick_loop_key()) or self._ordered_account()
        if account is None:
            account = await self._account_behind()
        if type(off) is not int or not 0 <= off <= OFFSET_MAX:
            off = checked_offset(off)
        try:  # as in read_at
            pin = self._pin(buf, False)
        except PIN_ERRORS as error:
            raise unusable(buf, error) from None
        if type(buf) not in PLAIN_TYPES:
            refuse_objects(buf)
        length = len(pin)
        sides, way = self._sides, next(account.write_ways)
        opcode = sides.write_opcodes[way] or sides.start_writer(account.proactor)
        started = perf_counter() if way >= TIMED else 0.0
        waiter = account.new_waiter()
        try:
            account.perform(waiter, opcode, self._fd, pin, length, off)
            del pin  # as in read_at
            result: int = await waiter
        except BaseException as interruption:  # noqa: BLE001  raised there
            result = await account.interrupted(waiter, interruption)
        if started:
            sides.timed_write(account.proactor, way, perf_counter() - started)
        if result < 0:
            raise self._error(result, length, off)
        return result

    async def write_all_at(self, buf: Buffer, off: int) -> None:
        """Write all of `buf`, with as many `write_at` as that takes.

        Raises:
            OSError: as `write_at`; a part may have been written then. EIO if the kernel keeps
                writing nothing and gives no reason.
            TypeError, BufferError, ValueError, ClosedFileError: as `write_at`.
        """
        off = checked_offset(off)
        with byte_view(buf) as view:
            count = 0
            while True:
                rest = view[count:]
                try:
                    got = await self.write_at(rest, off + count)
                finally:
                    let_go(rest)
                count += got
                if count == len(view):
                    return
                if got == 0:
                    raise written_no_more(self._name, count, len(view))

    async def write_many_at(self, requests: Iterable[tuple[Buffer, int]]) -> list[int | Exception]:
        """Write many blocks with one await: `write_at` for each (buf, off).

        They are carried out in no particular order: where two overlap, either may win.

        Args:
            requests: buffers and offsets, each as for `write_at`.

        Returns:
            For each request, in their order: the number of bytes written, or the `OSError` that
            `write_at` would have raised. One that fails does not keep others from being written.

        Raises:
            TypeError, BufferError, ValueError: a request cannot be used; nothing was written.
            ClosedFileError: the file is closed.
        """
        return await self._many(_WRITE, requests)

    async def _many(
        self, opcode: int, requests: Iterable[tuple[Buffer, int]]
    ) -> list[int | Exception]:
        if opcode == _READ:
            account = self._accounts.get(quick_loop_key()) or self._account()
        else:
            account = await self._account_for_change()
        wanted = list(requests)
        results = await account.perform_all(
            opcode, self._fd, pinned_requests(self._pin, wanted, opcode == _READ)
        )
        if min(results, default=0) >= 0:
            return [*results]
        return [
            result if result >= 0 else self._error(result, memoryview(buf).nbytes, off)
            for result, (buf, off) in zip(results, wanted)  # noqa: B905  one for each
        ]

    # -- making it last

    async def fsync(self) -> None:
        """Make data and metadata durable (fsync(2)).

        Covers every write that had completed before the call; nothing is said of those under way.

        Raises:
            OSError: EIO, ENOSPC, …; data written before may be lost, also for later fsyncs.
            ClosedFileError: the file is closed.
        """
        await self._sync(Opcode.FSYNC)

    async def fdatasync(self) -> None:
        """Make data durable, and what metadata it takes to read it back (fdatasync(2)).

        Raises:
            OSError, ClosedFileError: as `fsync`.
        """
        await self._sync(Opcode.FDATASYNC)

    async def _sync(self, opcode: Opcode) -> None:
        account = await self._account_for_change()
        result = await account.complete(opcode, self._fd)
        if result < 0:
            raise self._error(result)
