"""Ops: what is asked of the kernel, as values. Knows nothing of ours.

An op is in exactly one place at a time: in the backlog of its proactor (it has no token yet), in
flight (its token is a key there), or done (its waiter has the result).
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "FLAGS_SHIFT",
    "OPCODE_MASK",
    "SIDE_MASK",
    "BufferCount",
    "Bundle",
    "CallArguments",
    "Op",
    "Opcode",
    "Waiter",
    "bundle_of",
    "bytes_of",
]

# The bits of an op's opcode that hold an `Opcode`, and those that name a side thread, or the pool
# beside the rings, or 0 for none. Above them are the RWF_* flags (preadv2(2)) of reads and writes.
OPCODE_MASK, SIDE_MASK = 0xFF, 0xFF00
FLAGS_SHIFT = 16


class Opcode(enum.IntEnum):
    """What an op asks for; the numbers of `enum asyncuring_opcode` in boundary.h."""

    NOP = 0
    READ = 1
    WRITE = 2
    FSYNC = 3
    FDATASYNC = 4
    OPEN = 5
    CLOSE = 6
    CANCEL = 7
    READV = 8
    WRITEV = 9
    STATX = 10
    FALLOCATE = 11
    FTRUNCATE = 12
    SYNC_RANGE = 13
    FADVISE = 14
    COPY_RANGE = 15
    LOCK = 16
    UNLINK = 17
    RENAME = 18
    MKDIR = 19
    LINK = 20
    SYMLINK = 21
    CHAIN = 22


Waiter: TypeAlias = Any
"""What one task awaits until its op is done; each event loop has a kind of its own."""

# A tuple, for it is made once per op and costs a tenth of an object with attributes.
Op: TypeAlias = tuple[Waiter, Any, Any, int, int, int, int, Any, int]
"""One requested operation: (waiter, account, pin, opcode, fd, length, argument, flow, origin).

* waiter: gets the result: a count, an fd or a negative errno. (bundle, index) for one of a
  `Bundle`; None for a CANCEL.
* account: is told when the op is done (see `_proactor.Account`). None for a CANCEL.
* pin: keeps the buffer exported, so that it neither moves nor goes away, and knows its address;
  made by the driver. Of a READV or WRITEV, of a list of buffers; of all that a `Call` describes,
  of that description. None for ops without either.
* opcode: a plain int, for an IntEnum's member costs more to look up. See SIDE_MASK, FLAGS_SHIFT.
* fd: the file descriptor; of what has to do with names a directory's, -1 for the current one.
* length: bytes (READ, WRITE, CHAIN, COPY_RANGE), a `BufferCount` (READV, WRITEV), else 0.
* argument: offset (those), token (CANCEL).
* flow: where it waits with others of its class, and what counts it (see `_flows.Flow`). That of its
  target for a CANCEL.
* origin: since when it has waited, and its class (see `_flows.Flow`).
"""


class CallArguments(NamedTuple):
    """What a call takes besides a file or directory; which takes what, boundary.h says.

    path, second_path: they end with a NUL byte, if there is one.
    result: what it fills besides giving its result.
    """

    path: bytes = b"\0"
    second_path: bytes = b""
    flags: int = 0
    mode: int = 0
    resolve: int = 0
    offset: int = 0
    second_offset: int = 0
    length: int = 0
    second_fd: int = -1
    result: bytes | bytearray = b""


class BufferCount(int):
    """How many buffers an op has, and how many `bytes` there are in them together."""

    bytes: int

    def __new__(cls, count: int, size: int) -> Self:
        """Note the bytes beside the count."""
        self = super().__new__(cls, count)
        self.bytes = size
        return self


def bytes_of(op: Op) -> int:
    """Return how many bytes an op is to read or write; 0 if it does neither."""
    length = op[5]
    return length.bytes if type(length) is BufferCount else length


class Bundle:
    """Ops that one task awaits together.

    Attributes:
        waiter: what the task awaits; it gets the bundle's own result when all ops are done: 0, or
            the last negative result among theirs.
        results: of each op, by index; None until it is done.
        left: how many are not done.
    """

    __slots__ = ("left", "results", "value", "waiter")

    def __init__(self, waiter: Waiter, size: int) -> None:
        """Prepare for `size` ops."""
        self.waiter = waiter
        self.results: list[int | None] = [None] * size
        self.left = size
        self.value = 0


def bundle_of(op: Op) -> Bundle | None:
    """Return what `op` is one of; None if it is awaited by itself."""
    return op[0][0] if type(op[0]) is tuple else None
