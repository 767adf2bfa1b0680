"""What comes before what among the writes and syncs of a file.

Knows no event loop, no driver and no C.
"""

from __future__ import annotations

import os
import resource
import stat
from contextlib import suppress
from typing import Any

from ._arguments import OFFSET_MAX
from ._barrier import set_barrier
from ._chain import Chain
from ._handle import FileHandle
from ._op import Opcode
from ._runtime import identity, running_loop_key

__all__ = ["FileOrder"]

# What is asked for first: what most file systems have and few files need, so that it is asked once.
_REACH = 1 << 40


class FileOrder(FileHandle):
    """A file whose writes and syncs can be put into an order."""

    # A write that ends there at most is not cut off because the file would be too long. 0: not
    # looked at yet; -1: it is a stream.
    _reach = 0

    def chain(self) -> Chain:
        """Make a chain: operations that run in order and stop at the first failure.

        ``async with uring_file.chain() as chain:`` records the steps (`Chain` has the methods) and,
        when the block is left, runs them. On io_uring they are linked (io_uring_enter(2),
        IOSQE_IO_LINK), as far as a link stops where the chain has to: not behind a sync, and not
        where RLIMIT_FSIZE might cut a write off, for behind those the kernel goes on though they
        failed (seen on 6.18). What is not linked is begun when the step before is done. A native
        thread carries the steps out one after the other.

        Raises:
            ClosedFileError: the file is closed.
        """
        if self._leased is None:
            raise self._closed_error()
        perform = self._perform_chain
        return Chain(self._leased, self._fd, self._name, self._may_link, perform, self._error)

    def _may_link(self, end: int) -> bool:
        """Whether a ring may link steps that transfer up to `end` at most (see boundary.h)."""
        if end > OFFSET_MAX:
            return False  # the kernel will refuse it
        if self._reach >= 0 and (end > self._reach or self._reach == 0):
            self._reach = _reach(self._fd, end)
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        return end <= self._reach and limit == resource.RLIM_INFINITY

    async def _perform_chain(self, pin: Any, length: int) -> int:
        account = await self._account_for_change()
        return await account.complete(Opcode.CHAIN, self._fd, pin, length)

    async def barrier(self) -> None:
        """Wait until all writes and syncs of this file that were asked for before are done.

        Those that are asked for after the call, by whichever task, begin only then, also where
        they are asked for before this returns. It is between the operations of the running event
        loop: reads, other files and other loops go on. It says nothing of success, for each
        operation does that itself, and makes nothing durable: `fdatasync` does.

        A barrier whose await is cancelled stays where it is; what was asked for behind it begins
        when its turn comes. A `write_all_at` that the kernel stops early, and a `copy_range` of
        more than 64 MiB, are several operations: the one under way is before the barrier, and what
        is left behind.

        Raises:
            ClosedFileError: the file is closed, or its closing was cancelled meanwhile.
        """
        key = running_loop_key()
        behind = set_barrier(key, self._ordered, self._behind)
        if behind is None:
            await self._account().proactor.loop.checkpoint()
        elif not await behind.wait():
            raise self._closed_error()


def _reach(fd: int, end: int) -> int:
    """Return how long a file may certainly be: up to `end` at least, if it may; -1 of a stream.

    lseek(2) refuses what is beyond the largest file of its kind.
    """
    kind = identity(fd).kind
    if not (stat.S_ISREG(kind) or stat.S_ISBLK(kind)):
        return -1
    before = os.lseek(fd, 0, os.SEEK_CUR)
    try:
        for reach in (max(end, _REACH), end):
            with suppress(OSError):
                return os.lseek(fd, reach, os.SEEK_SET)
    finally:
        os.lseek(fd, before, os.SEEK_SET)
    return 0
