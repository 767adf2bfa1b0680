"""Memory for buffers: anonymous, aligned, the process's own, and known to the rings."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import sys
from typing import TYPE_CHECKING

from ._drivers.native import address_of, enter_region, remove_region

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Memory"]

# When a ring registers a region, the kernel brings all its pages into being, and the ring has to
# wait: so a region is small (measured: 1 to 4 ms for a MiB of pages that were never touched), as
# long as there are not too many of one pool in the table of the process, which has room for 4096.
_REGION_MIN = 1024 * 1024
_REGIONS = 256
_REGION_MAX = 1024 * 1024 * 1024  # the kernel's limit


class Memory(mmap.mmap):
    """One anonymous mapping. It goes when nobody exports a part of it any more.

    Private, so that a forked child has a copy of its own instead of writing into its parent's.

    Attributes:
        start: where in it the first block is.
        regions: what rings may register of it: (id, blocks), the id 0 where there was no room for
            it. Blocks that are too large are in none.
    """

    start: int
    regions: tuple[tuple[int, int], ...] = ()

    def __new__(cls, block_size: int, count: int, alignment: int) -> Self:
        """Map `count` blocks, of a size that is a multiple of `alignment`, and aligned to it.

        Raises:
            OSError: ENOMEM; there is not so much memory.
        """
        whole = count * block_size + max(alignment - mmap.PAGESIZE, 0)
        if whole > sys.maxsize:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        memory = super().__new__(cls, -1, whole, flags=flags)
        memory.start = -address_of(memory) % alignment
        size = min(max(count * block_size // _REGIONS, _REGION_MIN), _REGION_MAX)
        step = max(size // block_size, 1)  # no block is of two regions
        address = address_of(memory) + memory.start
        for first in range(0, count, step):
            blocks, length = min(step, count - first), min(step, count - first) * block_size
            if length <= _REGION_MAX:
                number = enter_region(address + first * block_size, length)
                memory.regions += ((number, blocks),)
        return memory

    def part(self, start: int, size: int) -> ctypes.Array[ctypes.c_ubyte]:
        """Return an object that exports these bytes, and keeps the mapping."""
        return (ctypes.c_ubyte * size).from_buffer(self, start)

    def __del__(self) -> None:
        """Before the memory goes, rings must not take its addresses for registered ones.

        Another mapping may come to lie there, and what they read for it would go to pages that
        nobody can see.
        """
        for number, _ in self.regions:
            remove_region(number)
