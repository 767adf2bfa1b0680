"""Ops: what is asked of the kernel, as values. Knows nothing of ours.

An op is in exactly one place at a time: in the backlog of its proactor (no token yet), in flight
(its token is a key there), or done (its result is set).
"""

from __future__ import annotations

import enum
from typing import Any

__all__ = ["Op", "Opcode"]


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


# Plain integers: an IntEnum's attribute look-up costs more than the rest of building an op.
_READ, _WRITE = int(Opcode.READ), int(Opcode.WRITE)


class Op:
    """One requested operation, and later its result.

    Attributes:
        pin: keeps the buffer exported, so that it neither moves nor goes away, and knows its
            address; made by the driver. None for ops without a buffer.
        argument: per opcode: offset (READ, WRITE), open flags (OPEN), token (CANCEL).
        length: bytes (READ, WRITE), permissions (OPEN).
        account: who is told when the op is done (see `_proactor.Account`).
        token: names the op while it is in flight; 0 in the backlog.
        result: a count, an fd or a negative errno; None until the op is done.
        waiter: what the loop parked for it: a future or a task; None if nobody waits.
    """

    __slots__ = (
        "account",
        "argument",
        "fd",
        "length",
        "opcode",
        "pin",
        "result",
        "token",
        "waiter",
    )

    def __init__(
        self, opcode: int, fd: int = -1, pin: Any = None, length: int = 0, argument: int = 0
    ) -> None:
        """Describe an op; nothing happens until a proactor performs it."""
        self.opcode = opcode
        self.fd = fd
        self.pin = pin
        self.length = length
        self.argument = argument
        self.account: Any = None
        self.token = 0
        self.result: int | None = None
        self.waiter: Any = None

    @classmethod
    def read(cls, fd: int, pin: Any, offset: int) -> Op:
        """pread(2) of len(pin) bytes, or as many as one call takes, at `offset`."""
        return cls(_READ, fd, pin, len(pin), offset)

    @classmethod
    def write(cls, fd: int, pin: Any, offset: int) -> Op:
        """pwrite(2) of len(pin) bytes, or as many as one call takes, at `offset`."""
        return cls(_WRITE, fd, pin, len(pin), offset)

    @classmethod
    def fsync(cls, fd: int) -> Op:
        """fsync(2)."""
        return cls(Opcode.FSYNC, fd)

    @classmethod
    def fdatasync(cls, fd: int) -> Op:
        """fdatasync(2)."""
        return cls(Opcode.FDATASYNC, fd)

    @classmethod
    def open(cls, pin: Any, flags: int, permissions: int) -> Op:
        """open(2); `pin` holds the path, NUL-terminated."""
        return cls(Opcode.OPEN, -1, pin, permissions, flags)

    @classmethod
    def close(cls, fd: int) -> Op:
        """close(2)."""
        return cls(Opcode.CLOSE, fd)

    @classmethod
    def cancel(cls, target: Op) -> Op:
        """Ask the kernel to cancel `target`, which is in flight (IORING_OP_ASYNC_CANCEL)."""
        return cls(Opcode.CANCEL, argument=target.token)
