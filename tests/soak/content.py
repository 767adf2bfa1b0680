"""What the soak writes: each block, record and small file says what it is, and vouches for itself.

A header names place, version and writer; the checksum covers all of the rest, so that a torn, lost
or misdirected write is seen by whoever reads.
"""

from __future__ import annotations

import random
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BLOCK", "HOLE", "Label", "filled", "read_records", "sealed", "unsealed"]

# In bytes: what O_DIRECT takes on every file system, and what a page of the cache has.
BLOCK = 4096
HOLE = bytes(BLOCK)

# Magic, checksum, length of the whole, file, place in the file, version, writer.
_HEADER = struct.Struct("<4sIIIQQI")
_MAGIC = b"soak"
_UNSUMMED = 8

# Pieces of it are the content; none is longer than half of it.
_NOISE = random.Random(0).randbytes(1 << 18)


class Label(NamedTuple):
    """What a piece of content says of itself.

    place: a block's number, or a record's number among those of its writer.
    """

    file: int
    place: int
    version: int
    writer: int


def sealed(label: Label, length: int) -> bytes:
    """Return `length` bytes with that label; other labels give other bytes nearly everywhere."""
    start = hash(label) % (len(_NOISE) // 2)
    body = _NOISE[start : start + length - _HEADER.size]
    summed = _HEADER.pack(_MAGIC, 0, length, *label)[_UNSUMMED:] + body
    return _MAGIC + zlib.crc32(summed).to_bytes(4, "little") + summed


def filled(view: memoryview, labels: list[Label]) -> None:
    """Fill `view` with one block for each label."""
    for number, label in enumerate(labels):
        view[number * BLOCK : (number + 1) * BLOCK] = sealed(label, BLOCK)


def unsealed(content: bytes | memoryview) -> Label | None:
    """Return the label of what begins with `content`; None: it is torn, or not the soak's."""
    if len(content) < _HEADER.size:
        return None
    magic, checksum, length, *label = _HEADER.unpack_from(content)
    if magic != _MAGIC or not _HEADER.size <= length <= len(content):
        return None
    if zlib.crc32(content[_UNSUMMED:length]) != checksum:
        return None
    return Label(*label)


def read_records(content: bytes) -> Iterator[tuple[int, int, Label]]:
    """Give offset, length and label of each record, up to the first that is not whole."""
    view = memoryview(content)
    offset = 0
    while (label := unsealed(view[offset:])) is not None:
        length = int.from_bytes(view[offset + _UNSUMMED : offset + _UNSUMMED + 4], "little")
        yield offset, length, label
        offset += length
