"""What comes before what among the writes and syncs of a file.

Knows no event loop, no driver and no C.
"""

from __future__ import annotations

from ._barrier import set_barrier
from ._handle import FileHandle
from ._runtime import running_loop_key

__all__ = ["FileOrder"]


class FileOrder(FileHandle):
    """A file whose writes and syncs can be put into an order."""

    async def barrier(self) -> None:
        """Wait until all writes and syncs of this file that were asked for before are done.

        Those that are asked for after the call, by whichever task, begin only then, also where
        they are asked for before this returns. It is between the operations of the running event
        loop: reads, other files and other loops go on. It says nothing of success, for each
        operation does that itself, and makes nothing durable: `fdatasync` does.

        A barrier whose await is cancelled stays where it is; what was asked for behind it begins
        when its turn comes. Of a `write_all_at` the operation under way is before the barrier, and
        what it still has to write, should the kernel stop early, behind.

        Raises:
            ClosedFileError: the file is closed, or its closing was cancelled meanwhile.
        """
        key = running_loop_key()
        behind = set_barrier(key, self._ordered, self._behind)
        if behind is None:
            await self._account().proactor.loop.checkpoint()
        elif not await behind.wait():
            raise self._closed_error()
