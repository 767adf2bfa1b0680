"""What a simulated device is asked for: ops, with nothing left that it would have to look up.

Here is also what stands for the memory of calls, vectors and chains: the objects themselves.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asyncuring._op import FLAGS_SHIFT, OPCODE_MASK, Opcode

from .native import memory_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncuring._op import CallArguments, Op

    from .blocks import StepOp

__all__ = ["Request", "StepsUnderWay", "request_of", "step_request"]

# As devices call them: who reads or writes one buffer or many does the same.
_NAMES = {int(opcode): opcode.name.lower() for opcode in Opcode}
_NAMES[Opcode.READV], _NAMES[Opcode.WRITEV] = "read", "write"

_TRANSFERS = {Opcode.READ, Opcode.WRITE, Opcode.READV, Opcode.WRITEV}
_VECTORED = {Opcode.READV, Opcode.WRITEV}


@dataclass(eq=False)
class Request:
    """One op, or a step of a chain.

    Attributes:
        name: of the opcode in lower case; "read" and "write" for those of several buffers, too.
        fd: the file, or the directory that a path starts from; -1 is the current one.
        buffers: of reads and writes.
        offset, length: of reads and writes; of calls what boundary.h says.
        flags: RWF_* of reads and writes; of calls what boundary.h says.
        call: what else a call takes; its paths without the NUL byte at their end.
        note: the device's own.
    """

    name: str
    fd: int
    buffers: Sequence[memoryview] = ()
    offset: int = 0
    length: int = 0
    flags: int = 0
    call: CallArguments | None = None
    note: Any = None


class StepsUnderWay:
    """A chain: its steps, how far it has come, and with what results.

    Attributes:
        pin: what its op takes along.
        cancelled: whether no further step is to begin.
    """

    def __init__(self, fd: int, steps: Sequence[StepOp]) -> None:
        """Begin before the first of `steps`, on `fd`."""
        self.fd = fd
        self.steps = list(steps)
        self.results: list[int | None] = [None] * len(steps)
        self.place = 0
        self.cancelled = False

    @property
    def pin(self) -> StepsUnderWay:
        """Itself."""
        return self

    def take_results(self) -> list[int | None]:
        """See `ChainResults.take_results`."""
        self.steps = []
        return self.results

    def note(self, result: int) -> bool:
        """Take the result of the step under way; returns whether another one is to begin."""
        self.results[self.place] = result
        if result < self.steps[self.place][4]:
            return False
        self.place += 1
        return self.place < len(self.steps) and not self.cancelled

    def result(self) -> int:
        """Return what the chain's own op gives, as `chain_result` in chain.c."""
        count = sum(self.results[index] or 0 for index in range(self.place))
        if self.place == len(self.results):
            return count
        last = self.results[self.place]
        if last is None:
            return -errno.ECANCELED
        return last if last < 0 else count + last


def request_of(op: Op) -> Request:
    """Say what `op` asks for; not of a chain, nor of a CANCEL."""
    _, _, pin, opcode, fd, length, argument, _, _ = op
    kind, flags = opcode & OPCODE_MASK, opcode >> FLAGS_SHIFT
    if kind in _TRANSFERS:
        return _transfer(kind, pin, fd, length, argument, flags)
    if pin is None:
        return Request(_NAMES[kind], fd)
    call: CallArguments = pin
    return Request(_NAMES[kind], fd, (), call.offset, call.length, call.flags, call)


def step_request(steps: StepsUnderWay) -> Request:
    """Say what the step asks for whose turn it is."""
    opcode, pin, length, argument, _, _ = steps.steps[steps.place]
    if opcode & OPCODE_MASK in _TRANSFERS:
        return _transfer(opcode & OPCODE_MASK, pin, steps.fd, length, argument, 0)
    return Request(_NAMES[opcode & OPCODE_MASK], steps.fd)


def _transfer(  # noqa: PLR0913, PLR0917  the fields of an op
    kind: int, pin: Any, fd: int, length: int, offset: int, flags: int
) -> Request:
    if kind in _VECTORED:
        buffers = [memory_of(one) for one in pin]
        length = sum(buffer.nbytes for buffer in buffers)
    else:
        buffers = [memory_of(pin)[:length]]
    return Request(_NAMES[kind], fd, buffers, offset, length, flags)
