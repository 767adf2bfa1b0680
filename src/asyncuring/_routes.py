"""The way that ops of one kind take to one file system, chosen by measuring. Knows nothing of ours.

A driver may have side threads: then an op goes its own way (through the ring) or beside it. Which
is faster depends on the file system, the kernel and the load. On ext4 the kernel passes each
buffered overwrite that comes through a ring to a worker, which costs several times what the write
does; other file systems let the ring write in place. So both ways are tried with what the program
is doing anyhow, a few ops in turn, and the faster one is taken for the many ops that follow.
"""

from __future__ import annotations

from itertools import chain, repeat
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["BESIDE", "OWN", "OWN_ALWAYS", "TIMED", "Route"]

# The ways, as `Route.ways` gives them. TIMED is added to that of an op whose duration is wanted.
OWN, BESIDE = 0, 1
TIMED = 2

# Where there is no choice.
OWN_ALWAYS: Iterator[int] = repeat(OWN)

# One comparison times so many ops of each way, in so many turns: a disturbance of the machine hits
# one turn, and the median is of all.
_TURNS = 3
_TIMED_OPS = 16
_SETTLING_OPS = 16

# The other way must be faster by this much, lest noise make the choice.
_GAIN_MIN = 0.9

# After a comparison that took n ops, this many times n go the way that was found, then twice as
# many: what comparing costs stays below some percent even where one way takes five times as long.
_REST_FIRST, _REST_MAX = 64, 1024


class Route:
    """Chooses for the ops of one kind that one event loop has with one file system.

    Attributes:
        kind: of the ops, for the statistics.
        device: the file system's st_dev (stat(2)).
        way: the one found faster: OWN or BESIDE.
        seconds: the median duration of an op, per way, in the last comparison; None before.
        comparisons: how many there were.
        ways: gives the way of each next op. To ask costs an op 40 ns, and nothing else does:
            what is chosen, and when it is compared again, is all in the order of its values.
        refusal: why ops cannot go beside, if they cannot.
    """

    __slots__ = (
        "_progress",
        "_timed",
        "comparisons",
        "device",
        "kind",
        "refusal",
        "seconds",
        "way",
        "ways",
    )

    def __init__(self, kind: str, device: int, progress: Callable[[], tuple[int, int]]) -> None:
        """Begin with the driver's own way.

        progress: tells how many ops of the loop are done, and how many under way.
        """
        self.kind = kind
        self.device = device
        self.way = OWN
        self.seconds: tuple[float | None, float | None] = (None, None)
        self.comparisons = 0
        self.refusal = ""
        self._progress = progress
        self._timed: tuple[list[float], list[float]] = ([], [])
        self.ways: Iterator[int] = chain.from_iterable(self._stretches())

    def time(self, way: int, seconds: float) -> None:
        """Take note of the duration of an op whose `way` was TIMED."""
        self._timed[way - TIMED].append(seconds)

    def refuse(self, why: str) -> None:
        """Let no more ops go beside."""
        self.refusal = why
        self.way = OWN

    def _stretches(self) -> Iterator[Iterator[int]]:
        """Compare, and rest on the result; compare again."""
        rest = _REST_FIRST
        while not self.refusal:
            begun = self._progress()[0]
            self._timed = ([], [])
            for way in (self.way, 1 - self.way) * _TURNS:
                yield from self._settling(way)
                yield repeat(way + TIMED, _TIMED_OPS)
            found = self.way
            yield from self._settling(found)  # and the last that were timed come in
            self._judge()
            rest = min(2 * rest, _REST_MAX) if self.way == found else _REST_FIRST
            yield repeat(self.way, rest * (self._progress()[0] - begun + _TIMED_OPS))
        yield OWN_ALWAYS

    def _settling(self, way: int) -> Iterator[Iterator[int]]:
        """Go on until what was under way before, the other way perhaps, is done."""
        done, under_way = self._progress()
        yield repeat(way, _SETTLING_OPS)
        while self._progress()[0] < done + under_way:
            yield repeat(way, _SETTLING_OPS)

    def _judge(self) -> None:
        # Cancelled ops have not told. Of too few nothing is concluded.
        if min(map(len, self._timed)) < _TURNS * _TIMED_OPS // 2 or self.refusal:
            return
        own, beside = self.seconds = median(self._timed[OWN]), median(self._timed[BESIDE])
        self.comparisons += 1
        if self.way == OWN and beside < own * _GAIN_MIN:
            self.way = BESIDE
        elif self.way == BESIDE and own < beside * _GAIN_MIN:
            self.way = OWN
