"""Reads that the page cache can serve, done in the calling thread. Knows nothing of ours.

A lone client pays two thread wake-ups for each read that goes through a driver: some ten times
what the read itself costs, if the page cache has it. preadv2(2) with RWF_NOWAIT (Linux 4.14) reads
what is there and refuses what would have to wait.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["InlineReads"]

# A copy of this size takes about as long as a tick of the loop; a larger one would hold it up.
_SIZE_MAX = 64 * 1024

# After a miss so many reads of the file go to the driver before the next attempt, then twice as
# many, up to the last: a file that is not in the page cache costs next to nothing.
_PAUSE_FIRST, _PAUSE_MAX = 1, 1024


class InlineReads:
    """Attempts for one file, made more rarely where they fail."""

    __slots__ = ("_pause", "_size_max", "_skip")

    def __init__(self) -> None:
        """Begin hopefully."""
        self._size_max = _SIZE_MAX
        self._pause = _PAUSE_FIRST
        self._skip = 0

    def try_read(
        self, read_cached: Callable[[int, Any, int, int], int], fd: int, pin: Any, off: int
    ) -> int:
        """Fill a buffer from the page cache; returns the count, or -1: let the driver do it.

        The driver's is everything that is not plain success: a miss, a read that comes out short
        (at the end of the file, or where the cache ends), an error.
        """
        if self._skip > 0:
            self._skip -= 1
            return -1
        size = len(pin)
        if not 0 < size <= self._size_max:
            return -1
        count = read_cached(fd, pin, size, off)
        if count == size:
            self._pause = _PAUSE_FIRST
            return count
        if count < 0 and count != -errno.EAGAIN:
            # EOPNOTSUPP, ESPIPE: never here. Of any other the driver will tell.
            self._size_max = -1
        self._skip = self._pause
        self._pause = min(2 * self._pause, _PAUSE_MAX)
        return -1
