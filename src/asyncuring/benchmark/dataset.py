"""The file that trials read: filled once, checked before reuse, warmed, looked up in the cache.

Each block carries its own number and a checksum, so that a read that returns the wrong
block, a torn block or stale memory is told apart from a right one by the block alone.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import random
import shutil
import struct
import zlib
from typing import TYPE_CHECKING

from asyncuring.benchmark.refusal import RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Buffer = bytes | bytearray | memoryview | mmap.mmap
    Progress = Callable[[int], object]
    """Told how many more bytes are done."""

HEADER = struct.Struct("<QI")
"""Block number, then the CRC-32 of the number and of all that follows the header."""

BLOCK_BYTES_MIN = 512
"""The smallest block that a disk reads with ``O_DIRECT``."""

CHUNK_BYTES = 1 << 20
"""Of one sequential read or write; large enough that the cost of the call does not matter."""

POOL_BYTES = 1 << 20
"""Random bytes that payloads are cut from: incompressible, yet cheap to produce."""


class CorruptBlockError(Exception):
    """A block does not hold its own number and checksum."""


def ensure_file(
    path: Path, file_size: int, block_size: int, progress: Progress, first_block: int = 0
) -> None:
    """Make ``path`` hold ``file_size`` bytes of numbered blocks.

    A file that is already there is used again only if every block of it verifies.
    """
    checked = 0

    def count(done: int) -> None:
        nonlocal checked
        checked += done
        progress(done)

    if path.exists() and path.stat().st_size == file_size:
        try:
            verify_file(path, block_size, count, first_block)
        except CorruptBlockError:
            progress(-checked)
        else:
            return
    fill_file(path, file_size, block_size, progress, first_block)


def fill_file(
    path: Path, file_size: int, block_size: int, progress: Progress, first_block: int = 0
) -> None:
    """Write the numbered blocks and force them to disk, so that no write-back disturbs a trial."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Also the file in the way, if any, is replaced only at the end: it counts as used.
    free = shutil.disk_usage(path.parent).free
    if free < file_size:
        raise RefusalError(
            f"{path.parent} has {free >> 20} MiB free, the file needs {file_size >> 20} MiB"
        )
    # An interrupted fill must not leave a file of the right name.
    unfinished = path.with_suffix(".unfinished")
    pool = make_pool(block_size)
    blocks_per_write = max(1, CHUNK_BYTES // block_size)
    end = first_block + file_size // block_size
    with unfinished.open("wb") as file:
        for first in range(first_block, end, blocks_per_write):
            numbers = range(first, min(first + blocks_per_write, end))
            written = file.write(b"".join(make_block(n, block_size, pool) for n in numbers))
            progress(written)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def make_pool(block_size: int, seed: object = 0) -> bytes:
    """Return what `make_block` cuts payloads from; with another seed they are others."""
    return random.Random(str(seed)).randbytes(POOL_BYTES + block_size)


def make_block(number: int, block_size: int, pool: bytes, version: int = 0) -> bytes:
    """Return block ``number``; each number has a window of ``pool``, and each version."""
    start = (number * 61 + version * 8191) % POOL_BYTES
    payload = pool[start : start + block_size - HEADER.size]
    return HEADER.pack(number, zlib.crc32(payload, number & 0xFFFFFFFF)) + payload


def header_of(block: Buffer) -> tuple[int, int]:
    """Return the number and the checksum that a block carries."""
    number, checksum = HEADER.unpack_from(block)
    return number, checksum


def checksum_of(block: Buffer) -> int:
    """Return the checksum that a block carries."""
    return header_of(block)[1]


def check_block(buf: Buffer, off: int, block_size: int) -> None:
    """Raise `CorruptBlockError` unless ``buf`` holds the block that belongs at byte ``off``."""
    expected = off // block_size
    if len(buf) < block_size:
        raise CorruptBlockError(f"block {expected} at byte {off} is cut off")
    number, checksum = header_of(buf)
    if number != expected:
        raise CorruptBlockError(f"block {expected} at byte {off} carries the number {number}")
    with memoryview(buf)[HEADER.size : block_size] as payload:
        if zlib.crc32(payload, number & 0xFFFFFFFF) != checksum:
            raise CorruptBlockError(f"block {expected} at byte {off} does not match its checksum")


def verify_file(path: Path, block_size: int, progress: Progress, first_block: int = 0) -> None:
    """Raise `CorruptBlockError` at the first block of the file that is not as it was written."""
    off = first_block * block_size
    for block in blocks_of(path, block_size):
        check_block(block, off, block_size)
        off += block_size
        progress(len(block))


def blocks_of(path: Path, block_size: int) -> Iterator[memoryview]:
    """Yield the blocks of a file, one after the other."""
    blocks_per_read = max(1, CHUNK_BYTES // block_size)
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(blocks_per_read * block_size):
            for start in range(0, len(chunk), block_size):
                yield memoryview(chunk)[start : start + block_size]


def write_back(path: str) -> None:
    """Force to disk what a trial wrote, so that it does not happen within the next one."""
    with open(path, "r+b", buffering=0) as file:  # noqa: PTH123 - the only path here is a string
        os.fsync(file.fileno())


def drop_from_cache(path: str) -> None:
    """Have what is read next come from the disk, where the system knows how to."""
    if hasattr(os, "posix_fadvise"):
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - as above
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def warm(path: str) -> None:
    """Read the whole file into the page cache."""
    buf = bytearray(CHUNK_BYTES)
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - as above
        while file.readinto(buf):
            pass


def resident_fraction(path: str) -> float | None:
    """Return how much of the file is in the page cache, 0 to 1; None where nobody can tell."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "mincore"):
        return None
    with open(path, "rb") as file:  # noqa: PTH123 - as above
        size = os.fstat(file.fileno()).st_size
        # Private and writable only so that ctypes may take its address; nothing touches it.
        mapping = mmap.mmap(
            file.fileno(), size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE
        )
    pages = -(-size // mmap.PAGESIZE)
    states = (ctypes.c_ubyte * pages)()
    anchor = ctypes.c_char.from_buffer(mapping)
    failed = libc.mincore(ctypes.c_void_p(ctypes.addressof(anchor)), ctypes.c_size_t(size), states)
    del anchor
    mapping.close()
    if failed:
        return None
    return sum(state & 1 for state in bytes(states)) / pages
