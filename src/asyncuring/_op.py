"""Ops: what is asked of the kernel, as values. Knows nothing of ours.

An op is in exactly one place at a time: in the backlog of its proactor (no token yet), in flight
(its token is a key there), or done (its result is known).
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

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


class Op:
    """One requested operation, and later its result.

    Each event loop has a kind of its own, which adds how a task awaits it.

    Attributes:
        opcode: what is asked for; a plain int, for an IntEnum's member costs more to look up.
        pin: keeps the buffer exported, so that it neither moves nor goes away, and knows its
            address; made by the driver. None for ops without a buffer.
        length: bytes (READ, WRITE), permissions (OPEN).
        argument: per opcode: offset (READ, WRITE), open flags (OPEN), token (CANCEL).
        account: who is told when the op is done (see `_proactor.Account`).
        token: names the op while it is in flight; 0 in the backlog.
        value: the result: a count, an fd or a negative errno; None until the op is done.
    """

    __slots__ = ("account", "argument", "fd", "length", "opcode", "pin", "token", "value")

    def __init__(  # noqa: PLR0913, PLR0917  the fields of one SQE
        self,
        account: Any,
        opcode: int,
        fd: int = -1,
        pin: Any = None,
        length: int = 0,
        argument: int = 0,
    ) -> None:
        """Describe an op; nothing happens until its account performs it."""
        self.account = account
        self.opcode = opcode
        self.fd = fd
        self.pin = pin
        self.length = length
        self.argument = argument
        self.token = 0
        self.value: int | None = None

    def __await__(self) -> Generator[Any, Any, int]:
        """Wait until the op is done; gives its result."""
        raise NotImplementedError
