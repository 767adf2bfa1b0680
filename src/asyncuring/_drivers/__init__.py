"""Drivers: ways of carrying out ops. Here are the interfaces; `native.py` has those in C.

`simulated.py` has the one whose device is an object in Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from asyncuring._op import CallArguments, Op

    from .blocks import Call, StepOp
    from .tallies import Tally

__all__ = ["ChainResults", "Clock", "Counters", "Driver", "Identity", "Port", "SlowOp"]


@dataclass(frozen=True)
class Counters:
    """What a driver counted since it started.

    Attributes:
        enters: io_uring_enter(2) calls.
        wakeups: times a thread of the driver went to sleep and was woken.
        rings: times the doorbell of a loop was rung, each at most one wake-up of that loop.
        spins: times a thread of the driver, or a loop, looked for work a moment longer instead of
            going to sleep at once.
        spin_seconds: how long that took, in all.
        beside: ops that side threads, or the pool beside the rings, carried out.
    """

    enters: int = 0
    wakeups: int = 0
    rings: int = 0
    spins: int = 0
    spin_seconds: float = 0.0
    beside: int = 0


class SlowOp(NamedTuple):
    """An op that is done and took long, in seconds: see `Tally` for the parts of its time."""

    token: int
    backlog: float
    kernel: float
    loop: float


class Identity(NamedTuple):
    """What does not change of an open file.

    Attributes:
        kind: as the functions of the module `stat` take it, without permissions.
        device, inode: the same numbers are the same file; as `os.stat_result` has them.
    """

    kind: int
    device: int
    inode: int


class Clock(Protocol):
    """What a port that has timers needs of its loop."""

    @property
    def time(self) -> Callable[[], float]:
        """Tell the loop's time in seconds; virtual, where the loop's is. Not of a closed loop."""
        ...

    @property
    def call_later(self) -> Callable[[float, Callable[[], object]], object]:
        """Call back once, when so many seconds have passed."""
        ...

    @property
    def is_closed(self) -> Callable[[], bool]:
        """Tell whether the loop will never run again."""
        ...


class ChainResults(Protocol):
    """The steps of a chain, and what comes of them."""

    @property
    def pin(self) -> Any:
        """What its op takes along."""
        ...

    def take_results(self) -> list[int | None]:
        """Return the result of each step, None of one that has not run, and let the buffers go.

        Only when the op is done, or was never begun.
        """
        ...


class Port(Protocol):
    """One event loop's end of a driver. All of it belongs to that loop's thread."""

    fd: int
    """Readable when completions have come since the last exchange that left none."""

    tokens: Iterator[int]
    """Names for its ops; none comes twice in the life of the driver."""

    reap_limit: int
    """The most completions that one exchange returns."""

    slow_ops: list[SlowOp]
    """Those of the last exchanges that took long (`native.note_slow_ops`), to be taken away."""

    def exchange(self, ops: Sequence[tuple[int, Op]], rung: bool, /) -> Sequence[tuple[int, int]]:
        """Submit `ops`, each with its token; return completions as (token, result).

        rung: called because `fd` was readable. As many completions as `reap_limit` means that
        there may be more, and that nothing will ring for them.
        """
        ...

    unheard: bool
    """Set by an exchange as soon as the ops are the port's; whoever called it sets it back, when he
    has the completions. So after KeyboardInterrupt one knows: `hear`."""

    def hear(self) -> Sequence[tuple[int, int]]:
        """Return what the last exchange did, once more."""
        ...

    def read_cached(self, fd: int, pin: Any, length: int, offset: int, /) -> int:
        """Read what the page cache has, in the calling thread; a count or a negative errno.

        EAGAIN: it would have to wait. EOPNOTSUPP: the file or the system does not have this.
        """
        ...

    def detach(self) -> None:
        """Give the port back; nothing is in flight."""
        ...


class Driver(Protocol):
    """A running driver."""

    name: str

    def pin(self, buffer: Any, writable: bool, /) -> Any:
        """Export `buffer` until the pin is dropped; len(pin) is its size in bytes."""
        ...

    def call(self, opcode: int, arguments: CallArguments, /) -> Call:
        """Describe an op from `Opcode.STATX` on, or an OPEN.

        Raises:
            OSError: the kernel's ring does not have it, and no thread for it can be started.
        """
        ...

    def vectors(self, pins: Sequence[Any], /) -> Any:
        """Pin a list of the buffers that `pins` export, for a READV or WRITEV."""
        ...

    def chain(self, fd: int, steps: Sequence[StepOp], /) -> ChainResults:
        """Describe a chain of ops on `fd`; its op needs no more than that."""
        ...

    def direct_alignment(self, fd: int) -> tuple[int, int] | None:
        """Alignment in bytes that direct IO wants of memory, and of offsets and lengths.

        None if nobody can tell.
        """
        ...

    def attach(self, depth: int, clock: Clock) -> Port:
        """Make a port through which at most `depth` ops and as many cancels are in flight.

        clock: of the loop whose port it is.
        """
        ...

    side_threads: int
    """How many it may have; 0: all ops go the driver's own way."""

    def start_side_thread(self, number: int) -> int:
        """Start side thread `number`, from 1 on, unless it runs.

        Returns what to add to the opcode of a write, or of a read from the page cache, that is to
        go there.

        Raises:
            OSError: there is no memory, descriptor or thread for it.
        """
        ...

    def region(self, number: int, /) -> int:
        """Return what became of a region of memory (`enter_region`) with the driver's rings.

        1: registered; 0: no op has named it yet; or a negative errno, EOPNOTSUPP without rings.
        """
        ...

    def counters(self) -> Counters:
        """Read the counters; from any thread."""
        ...

    def tallies(self, classes: int, opcodes: Sequence[int]) -> dict[tuple[int, int], Tally]:
        """Read what was counted, by number of the class (below `classes`) and opcode.

        Of what there was none, there is no entry. From any thread.
        """
        ...

    def stop(self) -> None:
        """End the driver's threads. Every port is detached."""
        ...

    def abandon(self) -> None:
        """In a forked child: let go of what was inherited from the parent."""
        ...
