"""`statistics()`: what runs, why, and what it has counted."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._io_class import class_names
from ._op import OPCODE_MASK, Opcode
from ._routes import BESIDE
from ._runtime import for_each_driver, open_pools
from ._statistics_text import driver_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ._histogram import Histogram
    from ._pool_statistics import PoolStatistics
    from ._proactor import Proactor
    from ._routes import Route
    from ._runtime import LeasedDriver

__all__ = [
    "DriverStatistics",
    "OperationStatistics",
    "RouteStatistics",
    "Statistics",
    "statistics",
]


@dataclass(frozen=True)
class OperationStatistics:
    """What one driver has done, since it started, of one kind of operation in one class.

    An operation's time is counted when it is done, in three parts that follow each other. So each
    of the histograms has `count` durations, those of operations that failed included.

    Attributes:
        opcode: the kind: "read", "write", "fsync", "open", "close", …; "cancel" is what asks the
            kernel to cancel another.
        io_class: name of the class; "default" for what is in no other.
        count: operations that are done, those that failed included.
        bytes: transferred by them, in short reads and writes as many as they say. Of chains, which
            are one operation each, by their steps, if none failed; steps are in no other entry.
        errors: how many of them failed, by errno (ECANCELED: cancelled in the kernel). 0 stands for
            what is no errno of this system.
        in_flight: those that the driver has now.
        backlog: those that wait now, for depth or for the end of their loop's tick.
        backlog_seconds: from the call until they were handed to the driver. Long where the depth is
            in use, or where the event loop was kept from its tick.
        kernel_seconds: from there to their completion: in the driver's queue, in the kernel, on the
            device. With "uring-local", whose completions nobody takes note of before the loop does,
            it lasts until they were reaped.
        loop_seconds: from there until the loop reaped them. Long where tasks keep the event loop.
    """

    opcode: str
    io_class: str
    count: int
    bytes: int
    errors: Mapping[int, int]
    in_flight: int
    backlog: int
    backlog_seconds: Histogram
    kernel_seconds: Histogram
    loop_seconds: Histogram


@dataclass(frozen=True)
class RouteStatistics:
    """Which way one kind of operation takes from one event loop to one file system.

    Both ways are compared with what the program does anyhow: first at once, then more and more
    rarely.

    Attributes:
        kind: "write": writes to regular files, without `direct`. "large read": reads of 256 KiB and
            more from such files, which go beside without a comparison; only if they cannot.
        device: the file system, as `st_dev` of stat(2) names it.
        beside: whether they go to a native thread beside the ring, for that was faster.
        ring_seconds: median duration of an operation through the ring, in the last comparison;
            None before the first (see `refusal`).
        beside_seconds: the same, beside the ring.
        comparisons: how many there were.
        refusal: why none can go beside; empty if they can.
    """

    kind: str
    device: int
    beside: bool
    ring_seconds: float | None
    beside_seconds: float | None
    comparisons: int
    refusal: str


@dataclass(frozen=True)
class DriverStatistics:
    """What one running driver has done since it started.

    Attributes:
        driver: its name: "uring", "uring-local", "threads", or "simulated" (each simulated disk has
            a driver of its own).
        reason: why it was chosen.
        loops: event loops that have a port with it.
        ops_submitted: operations handed to it.
        inline_reads: reads that the page cache served in the calling thread, without the driver.
        inline_reads_by_class: the same, by the name of their class.
        ops_beside: operations that native threads carried out beside the ring: writes (see
            `routes`), large reads, and what the kernel's ring does not have (file locks, say).
        in_flight: operations that it has now.
        backlog: operations that wait for depth, or for the end of their loop's tick.
        enters: io_uring_enter(2) calls; 0 for "threads".
        wakeups: times one of its threads slept and was woken.
        rings: times it woke, or kept awake, an event loop.
        spins: times its thread, or an event loop, looked for work for up to 0.1 ms instead of
            going to sleep at once. Only "uring" does, while its operations come few at a time
            (16 at most), are done as soon as they are submitted (the page cache has the pages),
            and earlier attempts were worth it.
        spin_seconds: seconds spent so, by all of them together.
        routes: which operations go beside the ring: one entry per event loop, kind and file system,
            once the two ways were compared.
        operations: what became of them, by kind and class: one entry for each that has occurred.
            Reads that were done inline are in none.
    """

    driver: str
    reason: str
    loops: int
    ops_submitted: int
    inline_reads: int
    inline_reads_by_class: Mapping[str, int]
    ops_beside: int
    in_flight: int
    backlog: int
    enters: int
    wakeups: int
    rings: int
    spins: int
    spin_seconds: float
    routes: tuple[RouteStatistics, ...]
    operations: tuple[OperationStatistics, ...]

    @property
    def enters_per_op(self) -> float:
        """io_uring_enter(2) calls for each operation handed to the driver; nan before the first."""
        return self._per_op(self.enters)

    @property
    def wakeups_per_op(self) -> float:
        """Wake-ups of its threads for each operation handed to it; nan before the first."""
        return self._per_op(self.wakeups)

    def _per_op(self, count: int) -> float:
        return count / self.ops_submitted if self.ops_submitted else math.nan

    def __str__(self) -> str:
        """Some lines and a table, to be read in a terminal; durations as medians and p99."""
        return driver_text(self)


@dataclass(frozen=True)
class Statistics:
    """The drivers that run in this process; none before the first file and after the last.

    Attributes:
        drivers: one entry each. Numbers of loops in other threads may be a moment old.
        pools: one entry for each pool of buffers that is not closed.
    """

    drivers: tuple[DriverStatistics, ...]
    pools: tuple[PoolStatistics, ...] = ()

    @property
    def driver(self) -> str | None:
        """Name of the driver in use; None if none runs. With several, the one started first."""
        return self.drivers[0].driver if self.drivers else None

    @property
    def reason(self) -> str | None:
        """Why that driver was chosen."""
        return self.drivers[0].reason if self.drivers else None

    @property
    def ops_submitted(self) -> int:
        """Operations handed to the drivers that run."""
        return sum(driver.ops_submitted for driver in self.drivers)

    @property
    def in_flight(self) -> int:
        """Operations that the drivers have now."""
        return sum(driver.in_flight for driver in self.drivers)

    @property
    def backlog(self) -> int:
        """Operations that wait."""
        return sum(driver.backlog for driver in self.drivers)

    @property
    def enters(self) -> int:
        """io_uring_enter(2) calls."""
        return sum(driver.enters for driver in self.drivers)

    @property
    def wakeups(self) -> int:
        """Times a thread of a driver slept and was woken."""
        return sum(driver.wakeups for driver in self.drivers)

    def __str__(self) -> str:
        """Each driver's text, with an empty line between them."""
        return "\n\n".join(map(str, self.drivers)) or "no driver runs"


def statistics() -> Statistics:
    """Read the counters of every running driver. From any thread, in a loop or outside."""
    pools = tuple(pool.statistics() for pool in open_pools())
    return Statistics(tuple(for_each_driver(_of)), pools)


def _of(leased: LeasedDriver) -> DriverStatistics:
    proactors = list(leased.proactors.values())
    counters = leased.driver.counters()
    inline_reads = Counter(leased.inline_reads_before)
    for proactor in proactors:
        inline_reads.update(dict(enumerate(proactor.inline_reads)))
    names = class_names()
    return DriverStatistics(
        driver=leased.name,
        reason=leased.reason,
        loops=len(proactors),
        ops_submitted=leased.ops_submitted_before + sum(p.ops_submitted for p in proactors),
        inline_reads=inline_reads.total(),
        inline_reads_by_class={names[n]: count for n, count in inline_reads.items() if count > 0},
        ops_beside=counters.beside,
        in_flight=sum(p.in_flight for p in proactors),
        backlog=sum(p.flows.waiting() for p in proactors),
        enters=counters.enters,
        wakeups=counters.wakeups,
        rings=counters.rings,
        spins=counters.spins,
        spin_seconds=counters.spin_seconds,
        routes=tuple(
            _route(route)
            for proactor in proactors
            for route in list(proactor.routes.values())
            if route.comparisons or route.refusal
        ),
        operations=tuple(_operations(leased, proactors)),
    )


def _operations(
    leased: LeasedDriver, proactors: Sequence[Proactor]
) -> Iterator[OperationStatistics]:
    waiting = Counter(
        (number, opcode & OPCODE_MASK)
        for proactor in proactors
        for number, opcode in proactor.flows.what_waits()
    )
    names = class_names()
    tallies = leased.driver.tallies(len(names), [*map(int, Opcode)])
    for here, tally in tallies.items():
        number, opcode = here
        yield OperationStatistics(
            opcode=Opcode(opcode).name.lower(),
            io_class=names[number],
            count=tally.done,
            bytes=tally.bytes,
            errors=tally.errors,
            in_flight=max(0, tally.begun - tally.done),  # the loop counts on while we read
            backlog=waiting[here],
            backlog_seconds=tally.backlog,
            kernel_seconds=tally.kernel,
            loop_seconds=tally.loop,
        )


def _route(route: Route) -> RouteStatistics:
    own, beside = route.seconds
    return RouteStatistics(
        kind=route.kind,
        device=route.device,
        beside=route.way == BESIDE,
        ring_seconds=own,
        beside_seconds=beside,
        comparisons=route.comparisons,
        refusal=route.refusal,
    )
