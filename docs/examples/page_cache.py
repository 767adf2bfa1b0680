"""Pages: as they stand in the file, and those that are kept in memory.

A page in the file has its checksum, which covers its number as well: a write that the disk has put
into a wrong place is as damaged as a torn one. (What no checksum shows is a write that the disk has
lost altogether: the old page is whole.) In memory a page is `bytes`, which nobody can change while
it is being read, logged or written.
"""

from __future__ import annotations

import struct
import zlib
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE_SIZE = 8192
HEADER = struct.Struct("<I4xQQ")  # checksum of all behind it, page number, LSN
CHECKED = 4
PAYLOAD_SIZE = PAGE_SIZE - HEADER.size


class DamagedPageError(Exception):
    """A page is not what was written."""


class Page:
    """One version of a page.

    data: its payload. lsn: of the change that made it; 0: it was never written. is_dirty: the file
    does not have it yet. was_used: since the clock's hand came by.
    """

    __slots__ = ("data", "is_dirty", "lsn", "was_used")

    def __init__(self, data: bytes, lsn: int, *, is_dirty: bool) -> None:
        self.data = data
        self.lsn = lsn
        self.is_dirty = is_dirty
        self.was_used = True


def encode(page: Page, number: int, buf: memoryview) -> None:
    """Fill `buf` with a page as it stands in the file."""
    HEADER.pack_into(buf, 0, 0, number, page.lsn)
    buf[HEADER.size :] = page.data
    buf[:CHECKED] = zlib.crc32(buf[CHECKED:]).to_bytes(CHECKED, "little")


def decode(buf: memoryview, number: int) -> Page:
    """Return the page that was read; behind the end of the file, and in holes, it is empty."""
    if not any(buf):
        return Page(bytes(PAYLOAD_SIZE), 0, is_dirty=False)
    if len(buf) < PAGE_SIZE:
        raise DamagedPageError(f"page {number} has {len(buf)} bytes, not {PAGE_SIZE}")
    checksum, written_as, lsn = HEADER.unpack_from(buf)
    if checksum != zlib.crc32(buf[CHECKED:]) or written_as != number:
        raise DamagedPageError(f"page {number} has a wrong checksum, or is page {written_as}")
    return Page(bytes(buf[HEADER.size :]), lsn, is_dirty=False)


class PageCache:
    """Pages by number. The clock: a page that was used since the hand came by stays."""

    def __init__(self) -> None:
        self._pages: OrderedDict[int, Page] = OrderedDict()  # the hand is at the first

    def __len__(self) -> int:
        return len(self._pages)

    def get(self, number: int) -> Page | None:
        """Return a page that is going to be used."""
        page = self._pages.get(number)
        if page is not None:
            page.was_used = True
        return page

    def peek(self, number: int) -> Page | None:
        """Return a page, which does not count as its being used."""
        return self._pages.get(number)

    def put(self, number: int, page: Page) -> None:
        """Keep a page, in the place of an older version."""
        self._pages[number] = page

    def drop(self, number: int) -> None:
        """Keep a page no longer."""
        del self._pages[number]

    def victim(self, is_held: Callable[[int, Page], bool]) -> int | None:
        """Move the hand on to a page that can go; None: there is none in two turns."""
        for _ in range(2 * len(self._pages)):
            number, page = next(iter(self._pages.items()))
            self._pages.move_to_end(number)
            if is_held(number, page):
                continue
            if not page.was_used:
                return number
            page.was_used = False
        return None

    def dirty(self) -> set[int]:
        """Return the numbers of all pages that the file does not have yet."""
        return {number for number, page in self._pages.items() if page.is_dirty}
