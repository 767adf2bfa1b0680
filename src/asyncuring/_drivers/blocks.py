"""Memory that an op names and that is not a buffer of the caller's: descriptions of what to do.

Laid out as boundary.h says. A block keeps what it names exported for as long as it is pinned.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncuring._op import CallArguments

__all__ = [
    "Block",
    "Call",
    "ChainMemory",
    "StepOp",
    "call_block",
    "chain_block",
    "vector_block",
]

# struct asyncuring_call and asyncuring_vector: native sizes and alignment.
_CALL = struct.Struct("@9Q2i")
_VECTOR = struct.Struct("@PN")
# asyncuring_chain, of which only the number of steps is ours, and asyncuring_step.
_CHAIN = struct.Struct("@36xI")
_STEP = struct.Struct("=QQQQiIqqII")
_RESULT = struct.Struct("=48xq8x")
_NOT_RUN = -65536  # ASYNCURING_NOT_RUN

StepOp: TypeAlias = tuple[int, Any, int, int, int, bool]
"""A step of a chain: opcode, pin, length, argument as in an `Op`; the least result with which the
chain goes on: all bytes of a transfer that must be complete, else 0; whether a ring may link the
next one behind it."""


class Call(NamedTuple):
    """An op that takes more than a buffer and an offset.

    Attributes:
        opcode: with the bits that name who carries it out.
        pin: of the block that describes it.
    """

    opcode: int
    pin: Any


class Block(bytearray):
    """Bytes for the core to read; `kept` goes away with them, and not before."""

    __slots__ = ("kept",)
    kept: Sequence[Any]


class ChainMemory(NamedTuple):
    """The steps of a chain, and the room for their results.

    Attributes:
        pin: of the block.
        block: holds them.
    """

    pin: Any
    block: Block

    def take_results(self) -> list[int | None]:
        """Return the result of each step, None of one that has not run, and let the buffers go.

        Only when the op is done, or was never begun.
        """
        self.block.kept = ()
        steps = memoryview(self.block)[_CHAIN.size :]
        results = [result for (result,) in _RESULT.iter_unpack(steps)]
        return [None if result == _NOT_RUN else result for result in results]


def call_block(arguments: CallArguments, pins: Sequence[Any], addresses: Sequence[int]) -> Block:
    """Describe a call: `struct asyncuring_call`.

    pins, addresses: of path, second path and result; None and 0 where there is none.
    """
    path, second_path, result = addresses
    numbers = arguments[2:8]  # flags to length
    block = Block(_CALL.pack(path, second_path, *numbers, result, arguments.second_fd, 0))
    block.kept = tuple(pins)
    return block


def vector_block(pins: Sequence[Any], addresses: Sequence[int]) -> Block:
    """List buffers, given by their pins and addresses: an array of `struct asyncuring_vector`."""
    block = Block(_VECTOR.size * len(pins))
    for index, (pin, address) in enumerate(zip(pins, addresses)):  # noqa: B905  as many
        _VECTOR.pack_into(block, index * _VECTOR.size, address, len(pin))
    block.kept = tuple(pins)
    return block


def chain_block(fd: int, steps: Sequence[StepOp], addresses: Sequence[int]) -> Block:
    """Describe ops on `fd` that run in order: `struct asyncuring_chain`."""
    parts = [_CHAIN.pack(len(steps))]
    for index, (opcode, _, length, argument, wanted, linked) in enumerate(steps):
        op = (0, addresses[index], argument, length, fd, opcode)
        parts.append(_STEP.pack(*op, wanted, _NOT_RUN, index, linked))
    block = Block(b"".join(parts))
    block.kept = [pin for _, pin, *_ in steps]
    return block
