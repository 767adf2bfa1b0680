"""Reads that the page cache can serve, done in the calling thread. Knows nothing of ours.

A lone client pays two thread wake-ups for each read that goes through a driver: some ten times
what the read itself costs, if the page cache has it. preadv2(2) with RWF_NOWAIT (Linux 4.14) reads
what is there and refuses what would have to wait.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sys

    if sys.version_info >= (3, 12):
        from collections.abc import Buffer
    else:
        from typing_extensions import Buffer

__all__ = ["InlineReads"]

_RWF_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)

# A copy of this size takes about as long as a tick of the loop; a larger one would hold it up.
_SIZE_MAX = 64 * 1024

# After a miss so many reads of the file go to the driver before the next attempt, then twice as
# many, up to the last: a file that is not in the page cache costs next to nothing.
_PAUSE_FIRST, _PAUSE_MAX = 1, 1024


class InlineReads:
    """Attempts for one file, made more rarely where they fail."""

    __slots__ = ("_pause", "_skip", "_supported")

    def __init__(self) -> None:
        """Begin hopefully."""
        self._supported = _RWF_NOWAIT != 0
        self._pause = _PAUSE_FIRST
        self._skip = 0

    def try_read(self, fd: int, buf: Buffer, off: int) -> int:
        """Fill `buf` from the page cache; returns the count, or -1: let the driver do it.

        The driver's is everything that is not plain success: a miss, a read that comes out short
        (at the end of the file, or where the cache ends), an error.
        """
        if self._skip > 0 or not self._supported:
            self._skip -= 1
            return -1
        with memoryview(buf) as view:
            size = view.nbytes
            if size > _SIZE_MAX or size == 0 or view.readonly or not view.c_contiguous:
                return -1
            try:
                if os.preadv(fd, (view,), off, _RWF_NOWAIT) == size:
                    self._pause = _PAUSE_FIRST
                    return size
            except BlockingIOError:
                pass
            except OSError:
                # EOPNOTSUPP, ESPIPE: never here. Of any other the driver will tell.
                self._supported = False
                return -1
        self._skip = self._pause
        self._pause = min(2 * self._pause, _PAUSE_MAX)
        return -1
