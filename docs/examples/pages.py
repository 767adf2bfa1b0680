"""A page store in fifty lines: checksummed pages, in a file of their own. Knows no event loop."""

import os
import zlib

import asyncuring

PAGE = 8192
BODY = PAGE - 4  # what a caller may keep in a page; the rest is its checksum


class DamagedPageError(Exception):
    """A page does not hold what was written to it."""


class Pages:
    def __init__(self, uring_file: asyncuring.UringFile) -> None:
        self._file = uring_file

    @classmethod
    async def create(cls, path: str | os.PathLike[str]) -> "Pages":
        return cls(await asyncuring.open_file(path, "w+"))

    async def write(self, number: int, body: bytes) -> None:
        page = bytearray(body.ljust(BODY, b"\0"))
        # The number is part of it: a whole page in another one's place is damage, too.
        page += zlib.crc32(page, number).to_bytes(4, "little")
        await self._file.write_all_at(page, number * PAGE)

    async def read(self, number: int) -> bytes:
        page = bytearray(PAGE)
        await self._file.read_exactly_at(page, number * PAGE)
        body, checksum = page[:BODY], int.from_bytes(page[BODY:], "little")
        if zlib.crc32(body, number) != checksum:
            raise DamagedPageError(number)
        return bytes(body)

    async def commit(self) -> None:
        await self._file.fdatasync()

    async def aclose(self) -> None:
        await self._file.aclose()
