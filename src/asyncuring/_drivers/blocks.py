"""Memory that an op names and that is not a buffer of the caller's: descriptions of what to do.

Laid out as boundary.h says. A block keeps what it names exported for as long as it is pinned.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Block", "Call", "call_block", "vector_block"]

# struct asyncuring_call and asyncuring_vector: native sizes and alignment.
_CALL = struct.Struct("@9Q2i")
_VECTOR = struct.Struct("@PN")


class Call(NamedTuple):
    """An op that takes more than a buffer and an offset.

    Attributes:
        opcode: with the bits that name who carries it out.
        pin: of the block that describes it.
        result: what it fills besides giving its result.
    """

    opcode: int
    pin: Any
    result: bytearray


class Block(bytearray):
    """Bytes for the core to read; `kept` goes away with them, and not before."""

    __slots__ = ("kept",)
    kept: Sequence[Any]


def call_block(pins: Sequence[Any], addresses: Sequence[int], fields: Sequence[int]) -> Block:
    """Describe a call: `struct asyncuring_call`.

    pins: of paths and result, kept. addresses: of path, second path and result.
    fields: flags, mode, resolve, offset, second offset, length, second fd.
    """
    path, second_path, result = addresses
    *numbers, second_fd = fields
    block = Block(_CALL.pack(path, second_path, *numbers, result, second_fd, 0))
    block.kept = tuple(pins)
    return block


def vector_block(pins: Sequence[Any], addresses: Sequence[int]) -> Block:
    """List buffers, given by their pins and addresses: an array of `struct asyncuring_vector`."""
    block = Block(_VECTOR.size * len(pins))
    for index, (pin, address) in enumerate(zip(pins, addresses)):  # noqa: B905  as many
        _VECTOR.pack_into(block, index * _VECTOR.size, address, len(pin))
    block.kept = tuple(pins)
    return block
