"""What `GroupCommit` does, with os.pwrite and os.fdatasync in a thread pool: to compare with.

What comes while a commit is under way is the next one. On asyncio.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class ThreadPoolGroups:
    """Stands where a log of docs/examples/write_ahead_log.py has a `GroupCommit`."""

    def __init__(self, fd: int, end: int, *, durable: bool = True) -> None:
        """Append at `end`; `durable`: sync each group."""
        self.end = end
        self._fd = fd
        self._durable = durable
        self._turn = asyncio.Lock()
        self._begin()

    def _begin(self) -> None:
        self._waiting: list[tuple[bytes, Callable[[int], object] | None]] = []
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def append(
        self, data: bytes, *, on_durable: Callable[[int], object] | None = None
    ) -> int:
        """Append a record, and wait until its group is written, and durable if that is asked."""
        self._waiting.append((data, on_durable))
        done = self._done
        if len(self._waiting) == 1:  # the first of a group leads it
            async with self._turn:
                group = self._waiting
                self._begin()
                content = b"".join(record for record, _ in group)
                await asyncio.to_thread(self._write, content, self.end)
                self.end += len(content)
                for _, told in group:
                    if told is not None:
                        told(0)
                done.set_result(None)
        await done
        return 0

    async def drained(self) -> None:
        """Wait until what was appended before is done."""
        if self._waiting:
            await self._done
        async with self._turn:  # the group under way has it
            pass

    def _write(self, content: bytes, off: int) -> None:
        with memoryview(content) as view:
            count = 0
            while count < len(view):
                count += os.pwrite(self._fd, view[count:], off + count)
        if self._durable:
            os.fdatasync(self._fd)
