"""The ops that wait in one event loop, a flow for each class. Knows no loop and no driver."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._io_class import IoClass
    from ._op import Op, Waiter

__all__ = ["Flow", "Flows"]


class Flow:
    """What one class has in one event loop.

    Attributes:
        io_class: the class.
        number: the class's.
        backlog: its ops that wait for depth, or for the end of the tick, in order; by waiter, to
            be found.
    """

    __slots__ = ("backlog", "io_class", "number")

    def __init__(self, io_class: IoClass) -> None:
        """Begin with nothing."""
        self.io_class = io_class
        self.number = io_class.number
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
        self._backlogs = (*self._backlogs, flow.backlog)
        return flow

    def waiting(self) -> int:
        """Return how many ops wait. From any thread."""
        count = 0
        for backlog in self._backlogs:
            count += len(backlog)
        return count

    def ops(self) -> Iterator[Op]:
        """All ops that wait."""
        return chain.from_iterable(backlog.values() for backlog in self._backlogs)

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
