"""The ops that wait in one event loop, a flow for each class, and which of them is next.

Knows no loop and no driver. Within a class the order is first in, first out. Between classes it is
start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queueing", SIGCOMM 1996), with several
ops in flight as in SFQ(D) (Jin, Chase, Kaur: "Interposed proportional sharing for a storage service
utility", SIGMETRICS 2004): an op starts, in virtual time, when the one before it in its class has
ended, and takes its cost divided by the class's shares; the op with the earliest start is next. A
class that had nothing to do starts now: it saves nothing up.

That order alone would not help a class whose few ops are always served at once: a flood of another
class would fill the device's queue meanwhile. So as long as several classes are at work, what is in
flight is kept short, and a class that is between two ops finds its part of that free.
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from itertools import chain, islice
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING

from ._op import bytes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ._io_class import IoClass
    from ._op import Op, Waiter

__all__ = ["GRACE_NS", "OP_COST", "WINDOW", "Flow", "Flows"]

# The C core's own clock, in nanoseconds; and where in an op's origin the class stands: boundary.h.
_now = partial(time.clock_gettime_ns, time.CLOCK_MONOTONIC)
_CLASS_SHIFT = 59

# What an op costs beside its bytes, in bytes. Measured with O_DIRECT reads, 16 at a time: 39 us for
# 4 KiB, 73 us for 32 KiB, 1201 us for 1 MiB, which is 37 us and as many per 32 KiB.
OP_COST = 32 * 1024

# The cost of what may be in flight while several classes are at work: of 16 reads of 8 KiB.
WINDOW = 16 * (8 * 1024 + OP_COST)

# How long a class is at work without a sign of it: between two ops, or while one takes its time.
# Longer than a task of a storage engine thinks between two reads; short enough that a class that is
# alone soon has everything.
GRACE_NS = 100_000_000


class Flow:
    """What one class has in one event loop.

    Attributes:
        io_class: the class.
        backlog: its ops that wait for depth, for their turn, or for the end of the tick, in order;
            by waiter, to be found.
        class_bits: the class's number, as in `origin`.
        origin: what its next op keeps, for the C core to count: the time, as of the loop's tick,
            and the class.
        ops, cost: what it has in flight. Counted only where that matters (`Flows.alone`).
        part: of the window, in the same unit as the cost.
        start: of its next op, in virtual time.
        at_work: whether an op was asked for or came back lately. One whose ops hang (a FIFO, a dead
            server) is not: it shall not hold others up.
        seen: when that was.
        held: whether a limit of its class keeps its next op from beginning.
    """

    __slots__ = (
        "_had_ops",
        "_was_busy",
        "at_work",
        "backlog",
        "class_bits",
        "cost",
        "held",
        "io_class",
        "ops",
        "origin",
        "part",
        "seen",
        "start",
    )

    def __init__(self, io_class: IoClass) -> None:
        """Begin with nothing."""
        self.io_class = io_class
        self.class_bits = io_class.number << _CLASS_SHIFT
        self.origin = self.class_bits
        self.backlog: dict[Waiter, Op] = {}
        self.ops = self.cost = 0
        self.part = 1
        self.start = 0.0
        self.at_work = False
        self.seen = 0
        self.held = False
        self._had_ops = 0
        self._was_busy = False

    def went(self, op: Op) -> int:
        """Count an op that is in flight from now on; returns its cost."""
        cost = bytes_of(op) + OP_COST
        self.ops += 1
        self.cost += cost
        return cost

    def look(self, now: int) -> None:
        """See whether it is at work."""
        waits_for_its_turn = self.backlog and self.ops == 0 and not self.held
        asks_anew = self.backlog and not self._was_busy
        if self.ops < self._had_ops or asks_anew or waits_for_its_turn:
            self.seen, self.at_work = now, True
        elif now >= self.seen + GRACE_NS:
            self.at_work = False

    def look_away(self) -> None:
        """Note what it has, to see later what has changed."""
        self._had_ops = self.ops
        self._was_busy = self.ops > 0 or bool(self.backlog)

    def reserve(self) -> int:
        """How much of its part is kept free for ops that it may ask for in a moment."""
        return max(0, self.part - self.cost) if self.at_work and not self.backlog else 0

    def opcodes_that_wait(self) -> list[int]:
        """Return the opcode of each op in the backlog. From any thread."""
        while True:  # again, if it changed meanwhile, where threads run at once (PEP 703)
            with suppress(RuntimeError):
                return [*map(_opcode, self.backlog.values())]


class Flows(dict["IoClass", Flow]):
    """The flows of one event loop, by class; each is made when it is first looked up.

    Attributes:
        alone: the only flow that is at work, if its class has no limits: then nothing is counted,
            and its backlog goes in order, as far as there is depth.
        taken: what `next_ops` returned, or was about to when it was interrupted.
        ask_again_at: after `next_ops`: when it may have more, although nothing has come back; None
            if not before something has.
    """

    __slots__ = (
        *("_backlogs", "_clock", "_depth", "_now", "_virtual_time"),
        *("alone", "ask_again_at", "taken"),
    )

    def __init__(self, depth: int, clock: Callable[[], int] = _now) -> None:
        """Begin without any flow. depth: the most ops that may be in flight. clock: nanoseconds."""
        self._depth = depth
        self._clock = clock
        self._now = clock()
        self._virtual_time = 0.0
        self._backlogs: tuple[dict[Waiter, Op], ...] = ()
        self.alone: Flow | None = None
        self.ask_again_at: int | None = None
        self.taken: Sequence[Op] = ()

    def __missing__(self, io_class: IoClass) -> Flow:
        """Make the flow of `io_class`."""
        flow = self[io_class] = Flow(io_class)
        flow.origin += self._clock()
        self._backlogs = (*self._backlogs, flow.backlog)
        return flow

    def note_the_time(self) -> None:
        """Have the ops that come from now on wait since now: once in a tick, not for each op."""
        self._now = now = self._clock()
        for flow in self.values():
            flow.origin = flow.class_bits + now

    def waiting(self) -> int:
        """Return how many ops wait. From any thread."""
        backlogs = self._backlogs
        if len(backlogs) == 1:  # asked at each read that is done inline
            return len(backlogs[0])
        return sum(map(len, backlogs))

    def ops(self) -> Iterator[Op]:
        """All ops that wait."""
        return chain.from_iterable(backlog.values() for backlog in self._backlogs)

    def what_waits(self) -> list[tuple[int, int]]:
        """Return class and opcode of each op that waits. From any thread.

        What is copied, at once, names no op: that would keep its buffer exported when it is the
        task's again.
        """
        return [
            (flow.io_class.number, opcode)
            for flow in [*self.values()]
            for opcode in flow.opcodes_that_wait()
        ]

    def find(self, waiter: Waiter) -> Op | None:
        """Return the op of `waiter`; None if it does not wait here."""
        for backlog in self._backlogs:
            if waiter in backlog:
                return backlog[waiter]
        return None

    # -- whose turn it is

    def next_ops(self, in_flight: Mapping[int, Op]) -> list[Op]:
        """Take out the ops that are next, beside those that are in flight."""
        alone = self.alone
        if alone is None or (len(self) > 1 and self.waiting() > len(alone.backlog)):
            return self._share(in_flight)
        backlog, room = alone.backlog, self._depth - len(in_flight)
        if len(backlog) <= room:
            self.taken = ops = list(backlog.values())
            backlog.clear()
        else:
            self.taken = ops = list(islice(backlog.values(), room))
            for op in ops:
                del backlog[op[0]]
        return ops

    def _share(self, in_flight: Mapping[int, Op]) -> list[Op]:
        """Take out the ops that are next, where there are several classes, or limits."""
        flows = list(self.values())
        if self.alone is not None:
            self._begin_counting(in_flight)
        for flow in flows:
            flow.look(self._now)
        self.ask_again_at = None
        ops = self._in_turn(self._depth - len(in_flight), self._window(flows))
        for flow in flows:
            flow.look_away()
        rest = [flow for flow in flows if flow.at_work or flow.ops or flow.backlog]
        if len(rest) == 1 and not rest[0].io_class.has_limits:
            self.alone, self.ask_again_at = rest[0], None
        return ops

    def put_back(self, in_flight: Mapping[int, Op]) -> None:
        """Let what was `taken` wait again, in its place before all others."""
        for flow, backlog in [(flow, flow.backlog) for flow in self.values()]:
            rest = {op[0]: op for op in self.taken if op[7] is flow} | backlog
            backlog.clear()
            backlog.update(rest)
            flow.ops = flow.cost = 0
        self.taken = ()
        for op in in_flight.values():
            op[7].went(op)

    def _begin_counting(self, in_flight: Mapping[int, Op]) -> None:
        """Count what is in flight, all of it from one flow; forget what classes had before."""
        assert self.alone is not None
        self.alone.ops = self.alone.cost = 0
        for op in in_flight.values():
            self.alone.went(op)
        self.alone.seen, self.alone.at_work = self._now, True
        self.alone = None
        self._virtual_time = 0.0
        for flow in self.values():
            flow.start = 0.0

    def _window(self, flows: Sequence[Flow]) -> float:
        """Divide the window among the classes that are at work; returns how much of it is free."""
        at_work = [flow for flow in flows if flow.at_work]
        shares = sum(flow.io_class.shares for flow in at_work)
        for flow in at_work:
            flow.part = max(1, WINDOW * flow.io_class.shares // shares)
        if len(at_work) == 1:
            return float("inf")
        return WINDOW - sum(flow.cost + flow.reserve() for flow in at_work)

    def _in_turn(self, room: int, free: float) -> list[Op]:
        """Take out the ops with the earliest starts, for `room` and what is free of the window."""
        ops: list[Op] = []
        self.taken = ops
        somebody_works = any(flow.at_work for flow in self.values())
        waiting = [flow for flow in self.values() if flow.backlog]
        for flow in waiting:
            flow.start = max(flow.start, self._virtual_time)
        while waiting and len(ops) < room:
            flow = min(waiting, key=_start) if len(waiting) > 1 else waiting[0]
            hangs = flow.ops > 0 and not flow.at_work
            if free <= 0 and flow.cost >= flow.part and not hangs:
                # Nobody overtakes: it goes on when an op of its own comes back, or it hangs.
                self._ask_again(flow.seen + GRACE_NS)
                break
            if hangs and somebody_works and self._now < flow.seen + GRACE_NS:
                # One op each time, which may be what the others of its class wait for.
                self._ask_again(flow.seen + GRACE_NS)
                waiting.remove(flow)
                continue
            op = next(iter(flow.backlog.values()))
            if flow.io_class.has_limits:
                flow.held = not self._is_within_limits(flow, op)
                if flow.held:
                    waiting.remove(flow)
                    continue
            del flow.backlog[op[0]]
            ops.append(op)
            flow.at_work = not hangs
            flow.seen = self._now
            cost = flow.went(op)
            free -= cost
            self._virtual_time = flow.start
            flow.start += cost / flow.io_class.shares
            if not flow.backlog:
                waiting.remove(flow)
                free -= flow.reserve()
        return ops

    def _is_within_limits(self, flow: Flow, op: Op) -> bool:
        io_class = flow.io_class
        if io_class.depth is not None and flow.ops >= io_class.depth:
            return False
        if not io_class.has_rates:
            return True
        at = io_class.admit(bytes_of(op), self._now)
        if at > self._now:
            self._ask_again(at)
        return at <= self._now

    def seconds_until(self, at: int) -> float:
        """Return how far off a time is."""
        return max(0, at - self._clock()) / 1e9

    def _ask_again(self, at: int) -> None:
        if self.ask_again_at is None or at < self.ask_again_at:
            self.ask_again_at = at


_start = attrgetter("start")
_opcode = itemgetter(3)
