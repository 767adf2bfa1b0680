"""What the page cache has of a file."""

from __future__ import annotations

import ctypes
import mmap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def resident(path: Path) -> int:
    """How many pages of a file, of at least one, the page cache has (mincore(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    length = ctypes.c_size_t(path.stat().st_size)
    pages = (ctypes.c_ubyte * ((length.value - 1) // mmap.PAGESIZE + 1))()
    with path.open("rb") as opened:
        mapped = libc.mmap(None, length, mmap.PROT_READ, mmap.MAP_SHARED, opened.fileno(), 0)
    assert libc.mincore(ctypes.c_void_p(mapped), length, pages) == 0
    assert libc.munmap(ctypes.c_void_p(mapped), length) == 0
    return sum(page & 1 for page in pages)
