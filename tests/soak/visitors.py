"""Event loops that come and go beside the one that is soaked, in a thread of their own."""

from __future__ import annotations

import random
import threading
from time import monotonic
from typing import TYPE_CHECKING

import asyncuring
from tests.running import LOOPS
from tests.soak.content import BLOCK
from tests.soak.pages import Change, Look, PageFile
from tests.soak.tally import Tally

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName

__all__ = ["Visitors"]

_BLOCKS = 16
_LOOPS = ("asyncio", "uvloop", "trio")


class Visitors(threading.Thread):
    """Runs one short loop after the other until the time is over.

    Attributes:
        tally: of its own, to be added to another one when the thread has ended.
        failure: what ended them too early.
    """

    def __init__(self, directory: Path, driver: DriverName, seed: int, until: float) -> None:
        """Let them use one file in `directory`."""
        super().__init__(name="soak-visitors")
        self.tally = Tally()
        self.failure: BaseException | None = None
        self._file = PageFile(1000, directory / "visited", _BLOCKS, is_direct=False)
        self._driver: DriverName = driver
        self._random = random.Random(seed)
        self._until = until

    def run(self) -> None:
        """Run them."""
        try:
            self._file.path.touch()
            while monotonic() < self._until:
                LOOPS[self._random.choice(_LOOPS)](self._visit)
                self.tally.ops["loop opened and closed"] += 1
        except BaseException as error:  # noqa: BLE001  raised by whoever joins
            self.failure = error

    async def _visit(self) -> None:
        async with await asyncuring.open_file(
            self._file.path, "r+", driver=self._driver
        ) as uring_file:
            for _ in range(self._random.randrange(20)):
                number = self._random.randrange(_BLOCKS)
                view = memoryview(bytearray(BLOCK))
                with Change(self._file, [number], 0) as change:
                    change.fill(view)
                    change.kept(await uring_file.write_at(view, number * BLOCK))
                number = self._random.randrange(_BLOCKS)
                look = Look(self._file, [number], self.tally)
                look.verify(view, await uring_file.read_at(view, number * BLOCK))
