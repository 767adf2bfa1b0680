"""One open file three times: the library's, the system's, and a model in memory.

The three have the same methods with the same results, so that a step is a name and its arguments.
"""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncuring import AppendingFile, UringFile

# linux/falloc.h
KEEP_SIZE, PUNCH_HOLE, COLLAPSE_RANGE, ZERO_RANGE, INSERT_RANGE = 0x01, 0x02, 0x08, 0x10, 0x20

_libc = ctypes.CDLL(None, use_errno=True)


def pattern(seed: int, length: int) -> bytes:
    """Bytes that tell which write they are of, and whether they stand where they belong."""
    return bytes((seed + index) % 251 for index in range(length))


def _halves(data: bytes) -> list[bytes]:
    return [data[: len(data) // 3], data[len(data) // 3 :]]


class OurFile:
    """A file of the library's."""

    def __init__(self, file: UringFile | AppendingFile) -> None:
        self.file: Any = file

    async def read(self, off: int, length: int) -> bytes:
        buf = bytearray(length)
        return bytes(buf[: await self.file.read_at(buf, off)])

    async def readv(self, off: int, length: int) -> bytes:
        bufs = [bytearray(part) for part in _halves(bytes(length))]
        count = await self.file.readv_at(bufs, off)
        return b"".join(bufs)[:count]

    async def read_many(self, off: int, length: int) -> bytes:
        bufs = [bytearray(part) for part in _halves(bytes(length))]
        places = [off, off + len(bufs[0])]
        counts = await self.file.read_many_at(zip(bufs, places))  # noqa: B905  two
        return b"".join(bytes(buf[:count]) for buf, count in zip(bufs, counts))  # noqa: B905

    async def write(self, off: int, data: bytes) -> int:
        await self.file.write_all_at(data, off)
        return len(data)

    async def writev(self, off: int, data: bytes) -> int:
        return int(await self.file.writev_at(_halves(data), off))

    async def write_durably(self, off: int, data: bytes) -> int:
        return int(await self.file.write_at(data, off, durable=True))

    async def write_many(self, off: int, data: bytes) -> int:
        parts = _halves(data)
        places = [off, off + len(parts[0])]
        results = await self.file.write_many_at(zip(parts, places))  # noqa: B905  two
        for result in results:
            if isinstance(result, Exception):
                raise result
        return sum(results)

    async def write_in_a_chain(self, off: int, data: bytes) -> int:
        async with self.file.chain() as chain:
            for part in _halves(data):
                chain.write_all_at(part, off)
                off += len(part)
            chain.fdatasync()
        return len(data)

    async def append(self, data: bytes) -> int:
        return int(await self.file.append(data))

    async def truncate(self, size: int) -> None:
        await self.file.truncate(size)

    async def allocate(self, off: int, length: int) -> None:
        await self.file.allocate(off, length)

    async def reserve(self, off: int, length: int) -> None:
        await self.file.allocate(off, length, keep_size=True)

    async def zero_range(self, off: int, length: int) -> None:
        await self.file.zero_range(off, length)

    async def punch_hole(self, off: int, length: int) -> None:
        await self.file.punch_hole(off, length)

    async def collapse_range(self, off: int, length: int) -> None:
        await self.file.collapse_range(off, length)

    async def insert_range(self, off: int, length: int) -> None:
        await self.file.insert_range(off, length)

    async def copy_range(self, off: int, target: OurFile, target_off: int, length: int) -> int:
        return int(await self.file.copy_range(off, target.file, target_off, length))

    async def sync(self) -> None:
        await self.file.sync_range()
        await self.file.advise("dontneed")
        await self.file.barrier()
        await self.file.fdatasync()
        await self.file.fsync()

    async def stat(self) -> tuple[int, int]:
        status = await self.file.stat()
        return status.size, status.nlink


class SystemFile:
    """A file descriptor."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def read(self, off: int, length: int) -> bytes:
        return os.pread(self.fd, length, off)

    readv = read_many = read

    def write(self, off: int, data: bytes) -> int:
        return os.pwrite(self.fd, data, off)

    writev = write_durably = write_many = write_in_a_chain = write

    def append(self, data: bytes) -> int:
        return os.write(self.fd, data)

    def truncate(self, size: int) -> None:
        os.ftruncate(self.fd, size)

    def _allocate(self, flags: int, off: int, length: int) -> None:
        places = ctypes.c_int64(off), ctypes.c_int64(length)
        if _libc.fallocate(self.fd, flags, *places) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def allocate(self, off: int, length: int) -> None:
        self._allocate(0, off, length)

    def reserve(self, off: int, length: int) -> None:
        self._allocate(KEEP_SIZE, off, length)

    def zero_range(self, off: int, length: int) -> None:
        self._allocate(ZERO_RANGE, off, length)

    def punch_hole(self, off: int, length: int) -> None:
        self._allocate(PUNCH_HOLE | KEEP_SIZE, off, length)

    def collapse_range(self, off: int, length: int) -> None:
        self._allocate(COLLAPSE_RANGE, off, length)

    def insert_range(self, off: int, length: int) -> None:
        self._allocate(INSERT_RANGE, off, length)

    def copy_range(self, off: int, target: SystemFile, target_off: int, length: int) -> int:
        return os.copy_file_range(self.fd, target.fd, length, off, target_off)

    def sync(self) -> None:
        os.fsync(self.fd)

    def stat(self) -> tuple[int, int]:
        status = os.fstat(self.fd)
        return status.st_size, status.st_nlink


class ModelFile:
    """Bytes, and what the manual pages say of them. Asked only for what the system can do."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.nlink = 0

    def read(self, off: int, length: int) -> bytes:
        return bytes(self.content[off : off + length])

    readv = read_many = read

    def write(self, off: int, data: bytes) -> int:
        if data:
            self._grow(off)
            self.content[off : off + len(data)] = data
        return len(data)

    writev = write_durably = write_many = write_in_a_chain = write

    def append(self, data: bytes) -> int:
        return self.write(len(self.content), data)

    def truncate(self, size: int) -> None:
        self._grow(size)
        del self.content[size:]

    def allocate(self, off: int, length: int) -> None:
        self._grow(off + length)

    def reserve(self, off: int, length: int) -> None:
        """Nothing that is seen in the content."""

    def zero_range(self, off: int, length: int) -> None:
        self._grow(off + length)
        self.content[off : off + length] = bytes(length)

    def punch_hole(self, off: int, length: int) -> None:
        end = min(off + length, len(self.content))
        self.content[off:end] = bytes(max(0, end - off))

    def collapse_range(self, off: int, length: int) -> None:
        del self.content[off : off + length]

    def insert_range(self, off: int, length: int) -> None:
        self.content[off:off] = bytes(length)

    def copy_range(self, off: int, target: ModelFile, target_off: int, length: int) -> int:
        return target.write(target_off, self.read(off, length))

    def sync(self) -> None:
        """Nothing that is seen."""

    def stat(self) -> tuple[int, int]:
        return len(self.content), self.nlink

    def _grow(self, size: int) -> None:
        self.content.extend(bytes(max(0, size - len(self.content))))
