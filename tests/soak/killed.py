"""The process that is killed: it makes things durable, and tells of each as soon as it is told.

Started by `kill.py` as ``python -m tests.soak.killed``, and never ends by itself.
"""

from __future__ import annotations

import faulthandler
import os
import random
import sys
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, cast

import asyncuring
from asyncuring import GroupCommit
from tests.running import LOOPS
from tests.soak.content import BLOCK, Label, sealed
from tests.soak.durable import (
    LOGS,
    PAGES,
    SMALL_FILES,
    Acknowledgement,
    Kind,
    log_end,
)
from tests.soak.tasks import together

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncuring import AppendingFile, UringFile
    from asyncuring._runtime import DriverName

# It is killed long before.
_SECONDS_MAX = 60

_PAGE_WAYS = (Kind.SYNCED, Kind.DURABLE, Kind.CHAIN)
_COMMITTERS, _APPENDERS = 16, 4


class Workload:
    """What one process does until it is killed."""

    def __init__(self, directory: Path, driver: DriverName, number: int, pipe: int) -> None:
        """number: grows from process to process, and with it the versions that they write."""
        self._directory = directory
        self._driver: DriverName = driver
        self._pipe = pipe
        self._random = random.Random(number)
        self._numbers = count(number << 32)

    async def run(self) -> None:
        """Do everything at once."""
        directory, driver = self._directory, self._driver
        committed = directory / LOGS[Kind.COMMITTED]
        async with (
            await asyncuring.open_file(directory / "pages", "r+", driver=driver) as pages,
            await asyncuring.open_file(committed, "r+", driver=driver) as log,
            await asyncuring.open_file(
                directory / LOGS[Kind.APPENDED], "a", driver=driver
            ) as appended,
        ):
            group = GroupCommit(log, log_end(committed))
            endless: list[Callable[[], Awaitable[None]]] = [
                *(partial(self._write_page, pages, place) for place in range(PAGES)),
                *(partial(self._replace, place) for place in range(SMALL_FILES)),
                *[partial(self._commit, group)] * _COMMITTERS,
                *[partial(self._append, appended)] * _APPENDERS,
            ]
            await together([partial(self._forever, function) for function in endless])

    async def _forever(self, function: Callable[[], Awaitable[None]]) -> None:
        while True:
            await function()

    def _tell(self, kind: Kind, place: int, version: int) -> None:
        os.write(self._pipe, Acknowledgement(kind, place, version).encoded())

    async def _write_page(self, pages: UringFile, place: int) -> None:
        version = next(self._numbers)
        block = sealed(Label(0, place, version, 0), BLOCK)
        way = _PAGE_WAYS[place % len(_PAGE_WAYS)]
        if way is Kind.CHAIN:
            async with pages.chain() as chain:
                chain.write_all_at(block, place * BLOCK)
                chain.fdatasync()
        else:
            is_durable = way is Kind.DURABLE
            written = await pages.write_at(block, place * BLOCK, durable=is_durable)
            assert written == BLOCK, "the disk is full"
            if not is_durable:
                await pages.fdatasync()
        self._tell(way, place, version)

    async def _commit(self, group: GroupCommit) -> None:
        place, record = self._record()
        offset = await group.append(record)
        self._tell(Kind.COMMITTED, place, offset + len(record))

    async def _append(self, appended: AppendingFile) -> None:
        place, record = self._record()
        assert await appended.append(record, durable=True) == len(record), "the disk is full"
        self._tell(Kind.APPENDED, place, 0)

    def _record(self) -> tuple[int, bytes]:
        place = next(self._numbers)
        length = self._random.choice((40, 300, 5000, 70_000))
        return place, sealed(Label(0, place, 0, 0), length)

    async def _replace(self, place: int) -> None:
        version = next(self._numbers)
        content = sealed(Label(0, place, version, 0), self._random.choice((100, 5000, 50_000)))
        path = self._directory / f"small-{place}"
        await asyncuring.replace_file(path, content, driver=self._driver)
        self._tell(Kind.REPLACED, place, version)


def main() -> None:
    """Work on and on."""
    directory, driver, loop, number, pipe = sys.argv[1:]
    faulthandler.dump_traceback_later(_SECONDS_MAX, exit=True)
    workload = Workload(Path(directory), cast("DriverName", driver), int(number), int(pipe))
    LOOPS[loop](workload.run)


if __name__ == "__main__":
    main()
