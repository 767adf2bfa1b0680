"""What the clients of one event loop share: files, logs, buffers, classes of IO."""

from __future__ import annotations

import random
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import TYPE_CHECKING

import asyncuring
from asyncuring import BufferPool, IoClass
from tests.soak.client import OWN_BLOCKS, Client
from tests.soak.content import BLOCK
from tests.soak.guard import Guard
from tests.soak.logs import LogSeries
from tests.soak.page_ops import TOGETHER
from tests.soak.pages import PageFile
from tests.soak.small_files import SmallFile
from tests.soak.tally import TEMPORARY_FILES
from tests.soak.tasks import Interrupter, sleep, together

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._handle import CachedReads
    from asyncuring._runtime import DriverName
    from tests.soak.tally import Tally

__all__ = ["World"]

_FILES, _SMALL_FILES = 24, 200
_POOL_BUFFERS = 600
_SERIES = 3

_CACHED_READS: tuple[CachedReads, ...] = ("auto", "inline", "ring")

# So often what waits for a moment of its own gets it: cancels, watched buffers, full logs.
_PAUSE_SECONDS = 0.005


class World:
    """Everything that one event loop has, for some seconds."""

    def __init__(
        self, directory: Path, driver: DriverName, clients: int, seed: int, tally: Tally
    ) -> None:
        """Make what takes no event loop."""
        self.directory = directory
        self.driver: DriverName = driver
        self.seed = seed
        self.tally = tally
        self.until = 0.0
        per_file = -(-clients // _FILES) * OWN_BLOCKS
        self.page_files = [
            PageFile(number, directory / f"pages-{number}", per_file, is_direct=number % 4 == 3)
            for number in range(_FILES)
        ]
        self.small_files = [SmallFile(number, directory) for number in range(_SMALL_FILES)]
        self.appended, self.grouped = (
            [
                LogSeries(directory / f"{name}-{number}", driver, is_grouped=name == "grouped")
                for number in range(_SERIES)
            ]
            for name in ("appended", "grouped")
        )
        self.pool = BufferPool(TOGETHER * BLOCK, _POOL_BUFFERS)
        self.guard = Guard(tally)
        self.interrupter = Interrupter(random.Random(seed))
        self._clients_left = clients
        self._classes: list[AbstractContextManager[object]] = [
            nullcontext(),
            IoClass("soak-scan", 20, depth=16),
            IoClass("soak-commit", 500),
            IoClass("soak-slow", 100, ops_per_second=2000),
        ]

    def class_of(self, client: int) -> AbstractContextManager[object]:
        """Return the class of IO of a client; most are in none."""
        return self._classes[client % 8 if client % 8 < len(self._classes) else 0]

    async def open(self) -> None:
        """Open the files, empty but for holes."""
        for file in self.page_files:
            file.uring_file = await asyncuring.open_file(
                file.path,
                "x+",
                direct=file.is_direct,
                driver=self.driver,
                cached_reads=_CACHED_READS[file.number % len(_CACHED_READS)],
            )
            await file.uring_file.truncate(file.size)
        for series in (*self.appended, *self.grouped):
            await series.begin()

    async def run(self, seconds: float) -> None:
        """Let the clients work for so long, and then end."""
        clients = [Client(number, self) for number in range(self._clients_left)]
        self.until = monotonic() + seconds
        await together(
            [self._attend, *(lambda client=client: self._one(client) for client in clients)]
        )

    async def _one(self, client: Client) -> None:
        await client.run()
        self._clients_left -= 1

    async def _attend(self) -> None:
        while self._clients_left:
            self.interrupter.strike()
            self.guard.sweep()
            for series in (*self.appended, *self.grouped):
                await series.roll(self.tally)
            await sleep(_PAUSE_SECONDS)

    async def close(self) -> None:
        """Verify everything once more, when nothing is under way, and leave nothing behind."""
        for series in (*self.appended, *self.grouped):
            await series.end(self.tally)
        for file in self.page_files:
            await file.uring_file.aclose()
            file.check_at_rest(self.tally)
        self.guard.sweep(everything=True)
        self.pool.close()
        left = [path.name for path in self.directory.glob(".asyncuring-*")]
        for name in left:
            self.tally.missed(TEMPORARY_FILES, name)
