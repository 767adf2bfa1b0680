"""The ops that wait in one event loop, a flow for each class. Knows no loop and no driver."""

from __future__ import annotations

import time
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._io_class import IoClass
    from ._op import Op, Waiter

__all__ = ["Flow", "Flows"]

# The C core's own clock, in nanoseconds; and where in an op's origin the class stands: boundary.h.
_now = partial(time.clock_gettime_ns, time.CLOCK_MONOTONIC)
_CLASS_SHIFT = 59


class Flow:
    """What one class has in one event loop.

    Attributes:
        io_class: the class.
        number: the class's.
        backlog: its ops that wait for depth, or for the end of the tick, in order; by waiter, to
            be found.
        class_bits: its number, as in `origin`.
        origin: what its next op keeps, for the C core to count: the time, as of the loop's tick,
            and the class.
    """

    __slots__ = ("backlog", "class_bits", "io_class", "number", "origin")

    def __init__(self, io_class: IoClass) -> None:
        """Begin with nothing."""
        self.io_class = io_class
        self.number = io_class.number
        self.class_bits = io_class.number << _CLASS_SHIFT
        self.origin = self.class_bits
        self.backlog: dict[Waiter, Op] = {}


class Flows(dict["IoClass", Flow]):
    """The flows of one event loop, by class; each is made when it is first looked up."""

    __slots__ = ("_backlogs",)

    def __init__(self) -> None:
        """Begin without any."""
        self._backlogs: tuple[dict[Waiter, Op], ...] = ()

    def __missing__(self, io_class: IoClass) -> Flow:
        """Make the flow of `io_class`."""
        flow = self[io_class] = Flow(io_class)
        flow.origin += _now()
        self._backlogs = (*self._backlogs, flow.backlog)
        return flow

    def note_the_time(self) -> None:
        """Have the ops that come from now on wait since now: once in a tick, not for each op."""
        now = _now()
        for flow in self.values():
            flow.origin = flow.class_bits + now

    def waiting(self) -> int:
        """Return how many ops wait. From any thread."""
        count = 0
        for backlog in self._backlogs:
            count += len(backlog)
        return count

    def ops(self) -> Iterator[Op]:
        """All ops that wait."""
        return chain.from_iterable(backlog.values() for backlog in self._backlogs)

    def copy_of_ops(self) -> list[Op]:
        """Return all ops that wait. From any thread: each copy is made at once."""
        return [op for backlog in self._backlogs for op in backlog.copy().values()]

    def find(self, waiter: Waiter) -> Op | None:
        """Return the op of `waiter`; None if it does not wait here."""
        for backlog in self._backlogs:
            if waiter in backlog:
                return backlog[waiter]
        return None

    def next_ops(self, room: int) -> list[Op]:
        """Take out the ops that are next, at most `room`."""
        taken: list[Op] = []
        for backlog in self._backlogs:
            ops = list(islice(backlog.values(), room - len(taken)))
            if len(ops) == len(backlog):
                backlog.clear()
            else:
                for op in ops:
                    del backlog[op[0]]
            taken += ops
        return taken
