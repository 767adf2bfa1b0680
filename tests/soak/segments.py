"""The soak of one process: one world after the other, each with a driver and a loop."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

import asyncuring
from tests.running import LOOPS
from tests.soak.process import State, state
from tests.soak.tally import IN_FLIGHT, LATE_CHANGES, TEMPORARY_FILES, Tally
from tests.soak.tasks import sleep
from tests.soak.visitors import Visitors
from tests.soak.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncuring._runtime import DriverName

__all__ = ["Pair", "Soak", "turn_of"]

# How long one pair of driver and loop is soaked before the next has its turn; at least where time
# is short.
_SEGMENT_SECONDS, _SEGMENT_SECONDS_MIN = 20.0, 0.3

# The second time that a loop is used still takes some memory that it keeps.
_WARMING_TURNS = 2

# How long what was counted as in flight may take to be counted as done: far more than an op.
_QUIET_SECONDS_MAX = 5.0


class Pair(NamedTuple):
    """What a segment runs on."""

    driver: DriverName
    loop: str


def turn_of(number: int, drivers: Sequence[DriverName], loops: Sequence[str]) -> list[Pair]:
    """Pair all drivers and all loops; in the next turn each with another."""
    count = max(len(drivers), len(loops))
    return [Pair(drivers[n % len(drivers)], loops[(n + number) % len(loops)]) for n in range(count)]


class Soak:
    """Runs segments, and looks at the process before and after.

    Attributes:
        segments: how many there were.
        tally: what was counted.
        warm: what the process had after the segments that warm it up.
        end: after the last.
    """

    warm: State
    end: State

    def __init__(self, clients: int, seed: int) -> None:
        """Nothing runs yet."""
        self.segments = 0
        self._clients = clients
        self._seed = seed
        self.tally = Tally(LATE_CHANGES, IN_FLIGHT, TEMPORARY_FILES)

    def run(self, duration: float, drivers: Sequence[DriverName], loops: Sequence[str]) -> None:
        """Take turns: some in the first tenth, to warm up, and as many as there is time for."""
        start = monotonic()
        turns = max(1, round(0.9 * duration / max(len(drivers), len(loops)) / _SEGMENT_SECONDS))
        first, last = self._seed, self._seed + _WARMING_TURNS
        self._run_turns(range(first, last), drivers, loops, start + 0.1 * duration)
        self.warm = state()
        self._run_turns(range(last, last + turns), drivers, loops, start + duration)
        self.end = state()

    def _run_turns(
        self, turns: range, drivers: Sequence[DriverName], loops: Sequence[str], until: float
    ) -> None:
        pairs = [(turn, pair) for turn in turns for pair in turn_of(turn, drivers, loops)]
        for number, (turn, pair) in enumerate(pairs):
            # To verify and to clear up takes time as well, which those that follow do not have.
            left = until - monotonic()
            if left < 0 and turn > turns[0]:
                break  # a busy machine; each driver and each loop had its time
            self._run_one(pair, max(left / (len(pairs) - number), _SEGMENT_SECONDS_MIN))

    def _run_one(self, pair: Pair, seconds: float) -> None:
        self.segments += 1
        seed = self._seed * 1000 + self.segments
        directory = Path(tempfile.mkdtemp(prefix="asyncuring-soak-"))
        try:
            world = World(directory, pair.driver, self._clients, seed, self.tally)
            LOOPS[pair.loop](self._main, world, seconds)
        finally:
            shutil.rmtree(directory)

    async def _main(self, world: World, seconds: float) -> None:
        visitors = Visitors(world.directory, world.driver, world.seed, monotonic() + seconds)
        await world.open()
        visitors.start()
        await world.run(seconds)
        while visitors.is_alive():  # to join it would keep this loop from ending its ops
            await sleep(0.001)
        if visitors.failure is not None:
            raise visitors.failure
        self.tally.add(visitors.tally)
        await self._look_for_rest()
        await world.close()

    async def _look_for_rest(self) -> None:
        """Every await has ended: then the drivers have nothing either."""
        until = monotonic() + _QUIET_SECONDS_MAX
        left = 1
        while left and monotonic() < until:
            now = asyncuring.statistics()
            left = now.in_flight + now.backlog
            await sleep(0.001)
        if left:
            self.tally.missed(IN_FLIGHT, f"{left} ops", left)
