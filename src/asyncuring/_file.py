"""Open files. Knows no event loop, no driver and no C."""

from __future__ import annotations

import errno
import os
import warnings
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

from ._account import Account, Uncancellable
from ._arguments import (
    OFFSET_MAX,
    PIN_ERRORS,
    PLAIN_TYPES,
    byte_view,
    checked_offset,
    pinned_requests,
    refuse_objects,
    unusable,
)
from ._closing import all_quiet, close_when_quiet
from ._errors import CANCELLED, ClosedFileError, EndOfFileError, alignment_detail, os_error
from ._inline import InlineReads
from ._op import Opcode
from ._routes import TIMED
from ._runtime import quick_loop_key, running_loop_key
from ._sides import LARGE, FileSides

if TYPE_CHECKING:
    import sys
    from collections.abc import Callable, Hashable, Iterable

    from typing_extensions import Self

    if sys.version_info >= (3, 12):
        from collections.abc import Buffer
    else:
        from typing_extensions import Buffer

    from ._runtime import LeasedDriver

__all__ = ["CachedReads", "UringFile"]

CachedReads = Literal["auto", "inline", "ring"]

_READ, _WRITE = int(Opcode.READ), int(Opcode.WRITE)


class UringFile:
    """A file that is read and written at offsets, by any number of tasks at once.

    Made by `open_file`. It may be used from several event loops in several threads at the same
    time; each operation goes through the loop that runs it.

    Cancelling an operation ends its await only when the kernel has let go of the buffer: an
    operation that has not begun ends at once; one under way is asked to stop (io_uring_enter(2),
    IORING_OP_ASYNC_CANCEL) and most file IO runs to its end all the same. On trio it then gives
    its result; on asyncio the cancellation is raised.
    """

    def __init__(self, name: str | bytes, *, direct: bool, cached_reads: CachedReads) -> None:
        """Use `open_file`."""
        self._name = name
        self._direct = direct
        # With O_DIRECT, RWF_NOWAIT blocked the caller all the same (measured).
        self._inline_reads = None if direct or cached_reads == "ring" else InlineReads()
        self._inline_always = cached_reads == "inline"
        self._fd = -1
        self._leased: LeasedDriver | None = None
        self._pin: Callable[[Any, bool], Any]
        # One account for each loop that has used the file. Empty before opening and after closing,
        # so that finding one is all that an operation has to check.
        self._accounts: dict[Hashable, Account] = {}

    def opened(self, fd: int, leased: LeasedDriver) -> None:
        """Take over the descriptor and the lease (`open_file` calls this)."""
        self._fd = fd
        self._leased = leased
        self._pin = leased.pin
        self._sides = FileSides(fd, self._direct, leased)

    # -- what it is

    @property
    def name(self) -> str | bytes:
        """The path, as it was given to `open_file`."""
        return self._name

    @property
    def closed(self) -> bool:
        """Whether the file is closed, or being closed."""
        return self._leased is None

    def fileno(self) -> int:
        """Return the file descriptor.

        Raises:
            ClosedFileError: the file is closed.
        """
        if self._leased is None:
            raise self._closed_error()
        return self._fd

    def __repr__(self) -> str:
        """Name, descriptor and driver."""
        if self._leased is None:
            return f"<asyncuring.UringFile {self._name!r}, closed>"
        return f"<asyncuring.UringFile {self._name!r}, fd {self._fd}, {self._leased.name}>"

    # -- reading

    async def read_at(self, buf: Buffer, off: int) -> int:
        """Read at most len(buf) bytes at offset `off` into `buf`: one pread(2), without a copy.

        Args:
            buf: a writable C-contiguous buffer: bytearray, memoryview, mmap, array, numpy array.
                It is exported until the read is done, so a bytearray cannot be resized meanwhile.
            off: in bytes, from the start of the file.

        Returns:
            The number of bytes read: fewer than len(buf) only at the end of the file, or when the
            kernel says so (2 147 479 552 bytes at most in one call); 0 at the end of the file.

        Raises:
            OSError: with errno, text and path: EIO, EISDIR, EINVAL (alignment, with `direct`), …
            TypeError, BufferError, ValueError: buffer or offset cannot be used; nothing was read.
            ClosedFileError: the file is closed.
        """
        account = self._accounts.get(quick_loop_key()) or self._account()
        if type(off) is not int or not 0 <= off <= OFFSET_MAX:
            off = checked_offset(off)
        try:  # here, for a function of its own would cost a tenth of the read
            pin = self._pin(buf, True)
        except PIN_ERRORS as error:
            raise unusable(buf, error) from None
        if type(buf) not in PLAIN_TYPES:
            refuse_objects(buf)
        if (account.proactor.is_calm or self._inline_always) and self._inline_reads is not None:
            count = self._inline_reads.try_read(account.read_cached, self._fd, pin, off)
            if count >= 0:
                del pin
                await account.proactor.take_turns()
                return count
        length = len(pin)
        opcode = _READ if length < LARGE else self._sides.large_read_opcode(account.proactor)
        waiter = account.perform(opcode, self._fd, pin, length, off)
        del pin  # whoever keeps this frame, as a traceback does, must not keep the buffer exported
        try:
            result: int = await waiter
        except BaseException as interruption:  # noqa: BLE001  raised there
            result = await account.interrupted(waiter, interruption)
        if result < 0:
            raise self._error(result, length, off)
        return result

    async def read_exactly_at(self, buf: Buffer, off: int) -> None:
        """Read until `buf` is full, with as many `read_at` as that takes.

        Raises:
            EndOfFileError: an EOFError; the file ended before, after its `count` bytes.
        """
        off = checked_offset(off)
        with byte_view(buf) as view:
            count = 0
            while True:
                got = await self.read_at(view[count:], off + count)
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

    async def write_at(self, buf: Buffer, off: int) -> int:
        """Write at most len(buf) bytes at offset `off` from `buf`: one pwrite(2), without a copy.

        Args:
            buf: any C-contiguous buffer. Do not change it until the write is done.
            off: in bytes, from the start of the file; the file grows as needed.

        Returns:
            The number of bytes written; fewer than len(buf) when the disk is full, or when the
            kernel says so (2 147 479 552 bytes at most in one call).

        Raises:
            OSError: with errno, text and path: ENOSPC, EIO, EBADF (mode "r"), EFBIG, …
            TypeError, BufferError, ValueError: buffer or offset cannot be used; nothing was
                written.
            ClosedFileError: the file is closed.
        """
        account = self._accounts.get(quick_loop_key()) or self._account()
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
        waiter = account.perform(opcode, self._fd, pin, length, off)
        del pin  # as in read_at
        try:
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
        """
        off = checked_offset(off)
        with byte_view(buf) as view:
            count = 0
            while True:
                got = await self.write_at(view[count:], off + count)
                count += got
                if count == len(view):
                    return
                if got == 0:
                    detail = f"nothing more was written after {count} of {len(view)} bytes"
                    raise os_error(-errno.EIO, self._name, detail)

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
        account = self._accounts.get(quick_loop_key()) or self._account()
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
        """
        await self._sync(Opcode.FSYNC)

    async def fdatasync(self) -> None:
        """Make data durable, and what metadata it takes to read it back (fdatasync(2)).

        Raises:
            OSError: as `fsync`.
        """
        await self._sync(Opcode.FDATASYNC)

    async def _sync(self, opcode: Opcode) -> None:
        account = self._accounts.get(quick_loop_key()) or self._account()
        result = await account.complete(opcode, self._fd)
        if result < 0:
            raise self._error(result)

    # -- closing

    async def aclose(self) -> None:
        """Close the file, once the operations on it that are under way are done.

        New operations are refused from the call on. If `aclose` is itself cancelled, it asks the
        kernel to cancel what is under way (those operations then raise `ClosedFileError`), closes
        the file all the same, and then is cancelled. Closing a closed file does nothing.

        Raises:
            OSError: what close(2) says (EIO, ENOSPC, EDQUOT on network file systems); the file is
                closed then, too.
        """
        leased = self._leased
        if leased is None:
            return
        if leased.forked:  # the child's copy of the descriptor, and nothing else, is ours
            self._leased = None
            os.close(self._fd)
            return
        proactor = leased.proactor()
        self._leased = None
        accounts, self._accounts = list(self._accounts.values()), {}
        try:
            await all_quiet(accounts, proactor)
        finally:
            try:
                account = Uncancellable(proactor)
                result = await account.complete(Opcode.CLOSE, self._fd)
            finally:
                leased.release()
        if result < 0:
            raise os_error(result, self._name)

    async def __aenter__(self) -> Self:
        """Nothing: the file is open."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close the file."""
        await self.aclose()

    def __del__(self) -> None:
        """Complain, and close what was forgotten as soon as the kernel is done with it."""
        leased, self._leased = self._leased, None
        if leased is None:
            return
        if leased.forked:
            os.close(self._fd)
            return
        try:
            text = f"unclosed file {self._name!r}, fd {self._fd}"
            warnings.warn(text, ResourceWarning, source=self, stacklevel=1)
        finally:  # the warning may be an error
            close_when_quiet(self._fd, [a for a in self._accounts.values() if a.ops > 0], leased)

    # -- the slow paths

    def forget_loops(self) -> None:
        """Look up the proactor anew at the next operation (the process was forked)."""
        self._accounts = {}

    def _account(self) -> Account:
        """Return the account with the running loop's proactor, opened at the first operation."""
        key = running_loop_key()
        account = self._accounts.get(key)
        if account is None:
            if self._leased is None:
                raise self._closed_error()
            account = Account(self._leased.proactor())
            account.write_ways = self._sides.write_ways(account.proactor)
            # A loop that was closed meanwhile does not come back.
            kept = {k: a for k, a in self._accounts.items() if not a.proactor.loop.is_closed()}
            self._accounts = {**kept, key: account}
        return account

    def _closed_error(self) -> ClosedFileError:
        return ClosedFileError(f"the file {self._name!r} is closed")

    def _error(self, result: int, length: int = 0, off: int = 0) -> Exception:
        if result == CANCELLED and self._leased is None:
            return self._closed_error()
        detail = ""
        if result == -errno.EINVAL and self._direct and self._leased is not None:
            detail = alignment_detail(self._leased.direct_alignment(self._fd), length, off)
        return os_error(result, self._name, detail)
