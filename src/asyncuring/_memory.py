"""Memory for buffers: anonymous, aligned, and the process's own."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

from ._drivers.native import address_of

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Memory"]


class Memory(mmap.mmap):
    """One anonymous mapping. It goes when nobody exports a part of it any more.

    Private, so that a forked child has a copy of its own instead of writing into its parent's.

    Attributes:
        start: where in it the first aligned byte is.
    """

    start: int

    def __new__(cls, size: int, alignment: int) -> Self:
        """Map at least `size` bytes from an address on that is a multiple of `alignment`.

        Raises:
            OSError: ENOMEM; there is not so much memory.
        """
        room = max(alignment - mmap.PAGESIZE, 0)
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        memory = super().__new__(cls, -1, size + room, flags=flags)
        memory.start = -address_of(memory) % alignment
        return memory
