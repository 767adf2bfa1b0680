"""What can be done with an open file besides reading and writing it.

Knows no event loop, no driver and no C.
"""

from __future__ import annotations

import errno
import os
from typing import Literal, cast, get_args

from ._account import JointAccount
from ._arguments import checked_offset, checked_range
from ._file_order import FileOrder
from ._file_status import STATX_FIELDS, STATX_SIZE, FileStatus
from ._locking import LockAttempt
from ._op import CallArguments, Opcode
from ._runtime import identity, quick_loop_key

__all__ = ["Advice", "FileCalls"]

_AT_EMPTY_PATH = 0x1000

# linux/falloc.h
_KEEP_SIZE, _PUNCH_HOLE, _COLLAPSE_RANGE, _ZERO_RANGE, _INSERT_RANGE = 0x01, 0x02, 0x08, 0x10, 0x20

# man 2 sync_file_range
_WAIT_BEFORE, _WRITE, _WAIT_AFTER = 1, 2, 4

# enum asyncuring_lock in boundary.h
_UNLOCK, _SHARED, _EXCLUSIVE = 0, 1, 2

Advice = Literal["normal", "sequential", "random", "noreuse", "willneed", "dontneed"]
# Their numbers; 0 where there is no such call.
_ADVICE = {advice: getattr(os, f"POSIX_FADV_{advice.upper()}", 0) for advice in get_args(Advice)}

# A native thread that copies cannot be interrupted. So much takes it some 50 ms, measured on ext4.
_COPY_MAX = 64 * 1024 * 1024

# Between two attempts at a lock that somebody else has, in seconds: each is twice the one before.
_PAUSE_FIRST, _PAUSE_MAX = 0.001, 0.1

_CANNOT_COPY = {
    -errno.EXDEV: "the kernel does not copy between these two file systems; read and write instead",
    -errno.EOPNOTSUPP: "the file system has no copy_file_range(2); read and write instead",
    -errno.ENOSYS: "the kernel has no copy_file_range(2) (Linux 4.5); read and write instead",
    -errno.EBADF: "the source must be open for reading, the target for writing, and not to append",
    -errno.EINVAL: "source and target must be regular files, and must not overlap in one file",
}

_CANNOT_LOCK = {
    -errno.EAGAIN: "somebody else has a lock in the way",
    -errno.EACCES: "somebody else has a lock in the way",
    -errno.EOPNOTSUPP: "there are no locks of open file descriptions here (F_OFD_SETLK)",
}


class FileCalls(FileOrder):
    """A file with what storage engines need of it besides its content."""

    # -- what it is

    async def stat(self) -> FileStatus:
        """Tell size, times, owner, and what direct IO and atomic writes want (statx(2)).

        Raises:
            OSError: EIO and what else the file system answers.
            ClosedFileError: the file is closed.
        """
        account = self._accounts.get(quick_loop_key()) or self._account()
        status = bytearray(STATX_SIZE)
        arguments = CallArguments(flags=_AT_EMPTY_PATH, mode=STATX_FIELDS, result=status)
        call = self._describe(Opcode.STATX, arguments)
        result = await account.complete(call.opcode, self._fd, call.pin)
        if result < 0:
            raise self._error(result)
        return FileStatus.from_statx(status)

    # -- its size, and the room that it has

    async def truncate(self, size: int) -> None:
        """Make the file `size` bytes long: cut it off, or let it end in a hole (ftruncate(2)).

        Raises:
            OSError: EBADF or EINVAL (not open for writing), EFBIG, EPERM (sealed), …
            ValueError, TypeError: there is no such size.
            ClosedFileError: the file is closed.
        """
        size = checked_offset(size)
        await self._change(Opcode.FTRUNCATE, length=size)

    async def allocate(self, off: int, length: int, *, keep_size: bool = False) -> None:
        """Make sure that writes there will not find the disk full (fallocate(2), mode 0).

        What was never written there reads as zeros. The file grows to `off` + `length`, if that is
        more, unless `keep_size`: then the room behind its end awaits appending writes.

        Raises:
            OSError: ENOSPC: there is not so much room, and nothing was allocated; EOPNOTSUPP: the
                file system cannot allocate in advance; EFBIG, EBADF (not open for writing), …
            ValueError, TypeError: offset or length cannot be used.
            ClosedFileError: the file is closed.
        """
        flags = _KEEP_SIZE if keep_size else 0
        await self._allocate("allocate in advance", flags, off, length)

    async def zero_range(self, off: int, length: int, *, keep_size: bool = False) -> None:
        """Let a range read as zeros, allocated, and mostly without writing it.

        It is FALLOC_FL_ZERO_RANGE of fallocate(2). The file grows to `off` + `length`, if that is
        more, unless `keep_size`.

        Raises:
            OSError: EOPNOTSUPP: the file system cannot (ext4 with extents, xfs and btrfs can, tmpfs
                cannot); else as `allocate`.
            ValueError, TypeError: offset or length cannot be used.
            ClosedFileError: the file is closed.
        """
        flags = _ZERO_RANGE | (_KEEP_SIZE if keep_size else 0)
        await self._allocate("zero a range", flags, off, length)

    async def punch_hole(self, off: int, length: int) -> None:
        """Give the room of a range back to the file system; it reads as zeros then.

        Blocks that lie in the range only partly are zeroed. The file keeps its size
        (FALLOC_FL_PUNCH_HOLE).

        Raises:
            OSError: EOPNOTSUPP: the file system cannot (ext4, xfs, btrfs and tmpfs can); else as
                `allocate`.
            ValueError, TypeError: offset or length cannot be used.
            ClosedFileError: the file is closed.
        """
        await self._allocate("punch holes", _PUNCH_HOLE | _KEEP_SIZE, off, length)

    async def collapse_range(self, off: int, length: int) -> None:
        """Take a range out of the file: what is behind it moves up (FALLOC_FL_COLLAPSE_RANGE).

        Raises:
            OSError: EINVAL: offset and length are no multiples of the file system's block size, or
                the range reaches to the end of the file (`truncate` does that); EOPNOTSUPP: the
                file system cannot (ext4 with extents and xfs can); else as `allocate`.
            ValueError, TypeError: offset or length cannot be used.
            ClosedFileError: the file is closed.
        """
        await self._allocate("collapse a range", _COLLAPSE_RANGE, off, length)

    async def insert_range(self, off: int, length: int) -> None:
        """Insert a hole: what is at and behind `off` moves back (FALLOC_FL_INSERT_RANGE).

        Raises:
            OSError: EINVAL: offset and length are no multiples of the file system's block size, or
                `off` is not within the file; EOPNOTSUPP: the file system cannot (ext4 with extents
                and xfs can); else as `allocate`.
            ValueError, TypeError: offset or length cannot be used.
            ClosedFileError: the file is closed.
        """
        await self._allocate("insert a range", _INSERT_RANGE, off, length)

    async def _allocate(self, what: str, flags: int, off: int, length: int) -> None:
        off, length = checked_range(off, length)
        details = {-errno.EOPNOTSUPP: f"the file system cannot {what} (fallocate(2))"}
        if flags & (_COLLAPSE_RANGE | _INSERT_RANGE):
            details[-errno.EINVAL] = (
                f"to {what}, offset {off} and length {length} must be multiples of the file "
                "system's block size, and the range must end, or begin, before the file's end"
            )
        await self._change(Opcode.FALLOCATE, details, flags=flags, offset=off, length=length)

    # -- what the page cache does with it

    async def sync_range(self, off: int = 0, length: int = 0, *, wait: bool = True) -> None:
        """Have what was written to a range sent to the disk (sync_file_range(2)).

        It spreads the work of a later `fdatasync`, and makes nothing durable by itself: neither
        metadata nor the disk's own cache are written out.

        Args:
            off: where the range begins.
            length: in bytes; 0: to the end of the file.
            wait: until it is sent, what was under way before included; if not, begin only.

        Raises:
            OSError: EIO, ENOSPC: an earlier write failed; ESPIPE: not a regular file; …
            ValueError, TypeError: offset or length cannot be used.
            ClosedFileError: the file is closed.
        """
        off, length = checked_range(off, length, empty=True)
        flags = _WAIT_BEFORE | _WRITE | _WAIT_AFTER if wait else _WRITE
        await self._change(Opcode.SYNC_RANGE, flags=flags, offset=off, length=length)

    async def advise(self, advice: Advice, off: int = 0, length: int = 0) -> None:
        """Tell the kernel how a range is going to be read (posix_fadvise(2)).

        Args:
            advice: "willneed" begins to read it into the page cache; "dontneed" drops what the
                cache has of it, except what was not written out yet (`sync_range`); "normal",
                "sequential", "random" set the readahead of the whole file; "noreuse" (Linux 6.3)
                keeps reads of it from displacing others.
            off: where the range begins.
            length: in bytes; 0: to the end of the file.

        Raises:
            OSError: ESPIPE: not a regular file.
            ValueError, TypeError: there is no such advice, or offset or length cannot be used.
            ClosedFileError: the file is closed.
        """
        off, length = checked_range(off, length, empty=True)
        number = _ADVICE.get(advice)
        if number is None:
            message = f"there is no advice {advice!r}"
            raise ValueError(message)
        account = self._accounts.get(quick_loop_key()) or self._account()
        arguments = CallArguments(flags=number, offset=off, length=length)
        call = self._describe(Opcode.FADVISE, arguments)
        result = await account.complete(call.opcode, self._fd, call.pin)
        if result < 0:
            raise self._error(result)

    # -- copying

    async def copy_range(
        self, source_off: int, target: FileCalls, target_off: int, length: int
    ) -> int:
        """Copy from this file to `target`, without a way through memory (copy_file_range(2)).

        File systems with shared extents (xfs, btrfs) copy nothing where they can share blocks.
        It is done in pieces of 64 MiB at most by a native thread; a copy that fails or is cancelled
        has copied some of them, and a `barrier` that is set meanwhile comes between two.

        Args:
            source_off: where to copy from, in bytes.
            target: a file open for writing, perhaps this one.
            target_off: where to.
            length: how much, in bytes.

        Returns:
            The number of bytes copied: less than `length` only if this file ended before, when the
            copy began.

        Raises:
            OSError: EXDEV, EOPNOTSUPP, ENOSYS: kernel or file systems cannot; EINVAL: the ranges
                overlap in one file, or one is no regular file; EBADF: not open for reading, or
                `target` not for writing, or only to append; ENOSPC, EIO, …
            ValueError, TypeError: offsets, length or target cannot be used.
            ClosedFileError: one of the two is closed.
        """
        source_off, length = checked_range(source_off, length, empty=True)
        target_off, length = checked_range(target_off, length, empty=True)
        if not isinstance(cast("object", target), FileCalls):
            message = f"the target must be an open UringFile, not {type(target).__name__}"
            raise TypeError(message)
        if identity(self.fileno()) == identity(target.fileno()):
            # One file, and a piece may lengthen what the next one copies from.
            length = min(length, max(0, (await self.stat()).size - source_off))
        copied = 0
        while True:
            changing = await target._account_for_change()
            account = self._accounts.get(quick_loop_key()) or self._account()
            size = min(length - copied, _COPY_MAX)
            arguments = CallArguments(
                offset=source_off + copied,
                second_offset=target_off + copied,
                length=size,
                second_fd=target._fd,
            )
            call = self._describe(Opcode.COPY_RANGE, arguments)
            joint = JointAccount(account.proactor, [account, changing])
            result = await joint.complete(call.opcode, self._fd, call.pin, size)
            if result < 0:
                if target.closed:  # perhaps why it was cancelled
                    raise target._error(result)
                raise self._error(result, detail=_CANNOT_COPY.get(result, ""))
            copied += result
            if result == 0 or copied == length:
                return copied

    # -- locks

    async def lock(
        self, *, shared: bool = False, off: int = 0, length: int = 0, wait: bool = True
    ) -> None:
        """Lock a range against other opens of the file (fcntl(2), F_OFD_SETLKW; Linux 3.15).

        The lock is advisory, and belongs to this open file: other processes, and other files opened
        from the same path in this one, respect it if they lock as well. It ends with `unlock` or
        `aclose`. Locking a range anew makes a shared lock exclusive, or an exclusive one shared.

        Who waits tries again after pauses that grow from 1 ms to 0.1 s, and keeps no thread: there
        is no queue, and no order among those who wait. Cancelled, it ends at once and leaves the
        range as it was; if it had got the lock in that moment, unlocked.

        Args:
            shared: admit others that want it shared as well; the file must be open for reading, and
                for an exclusive one for writing.
            off: where the range begins.
            length: in bytes; 0: to the end of the file, wherever that will be.
            wait: until nobody else has a lock in the way.

        Raises:
            BlockingIOError: somebody else has it, and `wait` is false.
            OSError: EBADF: the file's mode does not admit that lock; ENOLCK, EOPNOTSUPP, …
            ValueError, TypeError: offset or length cannot be used.
            ClosedFileError: the file is closed, or was meanwhile.
        """
        off, length = checked_range(off, length, empty=True)
        kind = _SHARED if shared else _EXCLUSIVE
        pause = _PAUSE_FIRST
        while True:
            account = self._accounts.get(quick_loop_key()) or self._account()
            lock, unlock = (
                self._describe(Opcode.LOCK, CallArguments(flags=flags, offset=off, length=length))
                for flags in (kind, _UNLOCK)
            )
            attempt = LockAttempt(account, self._fd, lock, unlock)
            result = await attempt.result()
            if result == 0:
                return
            if result not in (-errno.EAGAIN, -errno.EACCES) or not wait:
                raise self._error(result, detail=_CANNOT_LOCK.get(result, ""))
            await account.proactor.loop.sleep(pause)
            pause = min(2 * pause, _PAUSE_MAX)

    async def unlock(self, *, off: int = 0, length: int = 0) -> None:
        """Unlock a range, all or a part of what was locked; others are left alone (F_OFD_SETLK).

        Raises:
            OSError: ENOLCK: the system's table of locks is full.
            ValueError, TypeError: offset or length cannot be used.
            ClosedFileError: the file is closed.
        """
        off, length = checked_range(off, length, empty=True)
        account = self._accounts.get(quick_loop_key()) or self._account()
        arguments = CallArguments(flags=_UNLOCK, offset=off, length=length)
        call = self._describe(Opcode.LOCK, arguments)
        result = await account.complete(call.opcode, self._fd, call.pin)
        if result < 0:
            raise self._error(result)

    # -- their way

    async def _change(
        self,
        opcode: Opcode,
        details: dict[int, str] | None = None,
        *,
        flags: int = 0,
        offset: int = 0,
        length: int,
    ) -> None:
        """Perform a call that changes the file; `details`: what to say to a result."""
        account = await self._account_for_change()
        arguments = CallArguments(flags=flags, offset=offset, length=length)
        call = self._describe(opcode, arguments)
        result = await account.complete(call.opcode, self._fd, call.pin)
        if result < 0:
            raise self._error(result, detail=(details or {}).get(result, ""))
