"""Logs that many clients append to: each acknowledged record is in it, once, where it was told."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

import asyncuring
from asyncuring import AppendingFile, GroupCommit
from tests.soak.content import Label, read_records, sealed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from asyncuring import UringFile
    from asyncuring._runtime import DriverName
    from tests.soak.client import Client
    from tests.soak.tally import Tally

__all__ = ["LOG_OPS", "Log", "LogSeries"]

# Then it is verified, removed, and another one begun.
_BYTES_MAX = 1 << 20

_LENGTHS = (40, 100, 400, 3000)

# What an append tells of the offset.
ANYWHERE = -1

# Of the appends to a file; the groups are all durable.
_DURABLE_SHARE = 0.01


class Record:
    """One record. offset: where it was acknowledged to be; None: it was not."""

    def __init__(self, content: bytes) -> None:
        """In doubt."""
        self.content = content
        self.offset: int | None = None


class Log:
    """What one file of records must hold.

    Attributes:
        writers: how many appends are under way.
        size: of all that was asked for, in bytes.
    """

    def __init__(self, number: int, acknowledged: Iterable[int] = ()) -> None:
        """Begin with an empty log, or with one that has certain records somewhere."""
        self.number = number
        self.writers = self.size = 0
        self._next_places = count()
        self._acknowledged = dict.fromkeys(acknowledged, ANYWHERE)
        self._doubtful: set[int] = set()

    @contextmanager
    def record(self, writer: int, length: int) -> Iterator[Record]:
        """Give a record to be appended in the block; it is in doubt until it is acknowledged."""
        place = next(self._next_places)
        record = Record(sealed(Label(self.number, place, 0, writer), length))
        self.writers += 1
        self.size += length
        self._doubtful.add(place)
        try:
            yield record
        finally:
            self.writers -= 1
            if record.offset is not None:
                self._doubtful.remove(place)
                self._acknowledged[place] = record.offset

    def check(self, content: bytes, tally: Tally) -> None:
        """Verify the whole log, when nothing is under way."""
        end = 0
        found: Counter[int] = Counter()
        for offset, length, label in read_records(content):
            end = offset + length
            found[label.place] += 1
            wrong = ""
            if self._acknowledged.get(label.place, ANYWHERE) not in (offset, ANYWHERE):
                wrong = f"wrong: {label} was acknowledged at another offset"
            elif label.file != self.number or found[label.place] > 1:
                wrong = f"wrong: {label} is there a second time, or of another log"
            tally.judged(f"log {self.number}, record at {offset}", wrong)
        for place in self._acknowledged.keys() - found.keys():
            tally.judged(f"log {self.number}", f"lost: record {place}, of {end} bytes")
        for place in found.keys() - self._acknowledged.keys() - self._doubtful:
            tally.judged(f"log {self.number}", f"wrong: record {place} was never appended")
        if end != len(content):
            tally.judged(f"log {self.number}", f"torn: at {end} of {len(content)} bytes")


class LogSeries:
    """One log after the other, in one directory.

    Appended to through an `AppendingFile`, or a `GroupCommit`.
    """

    def __init__(self, path: Path, driver: DriverName, *, is_grouped: bool) -> None:
        """See `begin`; the files' names begin as `path` does."""
        self._path = path
        self._driver: DriverName = driver
        self._is_grouped = is_grouped
        self._numbers = count()
        self._full: list[tuple[Log, UringFile]] = []
        self._log: Log
        self._file: UringFile
        self._group: GroupCommit | None = None

    async def begin(self) -> None:
        """Begin a log; appends go there from now on."""
        number = next(self._numbers)
        path = self._path.with_suffix(f".{number}")
        if self._is_grouped:
            self._file = await asyncuring.open_file(path, "x+", driver=self._driver)
            self._group = GroupCommit(self._file, 0)
        else:
            self._file = await asyncuring.open_file(path, "a+", driver=self._driver)
        self._log = Log(number)

    async def append(self, client: Client) -> None:
        """Append one record; then read it back, where it is told where that is."""
        file, length = self._file, client.random.choice(_LENGTHS)
        with self._log.record(client.number, length) as record:
            if self._group is None:
                assert isinstance(file, AppendingFile)
                durable = client.random.random() < _DURABLE_SHARE
                appended = await file.append(record.content, durable=durable)
                assert appended == length, "the disk is full"
                record.offset = ANYWHERE
            else:
                record.offset = await self._group.append(record.content)
                back = bytearray(length)
                await file.read_exactly_at(back, record.offset)
                verdict = "" if back == record.content else "lost: it is not there"
                client.tally.judged(f"{file.name!s}, at {record.offset}", verdict)

    async def roll(self, tally: Tally) -> None:
        """Begin another log if this one is full; verify and remove those that nobody writes to."""
        if self._log.size > _BYTES_MAX:
            full = self._log, self._file
            await self.begin()
            self._full.append(full)
        for log, file in [full for full in self._full if not full[0].writers]:
            self._full.remove((log, file))
            await self._end(log, file, tally)

    async def end(self, tally: Tally) -> None:
        """Verify and remove all of them, when no client is left."""
        for log, file in [*self._full, (self._log, self._file)]:
            await self._end(log, file, tally)

    async def _end(self, log: Log, file: UringFile, tally: Tally) -> None:
        content = bytearray((await file.stat()).size)
        await file.read_exactly_at(content, 0)
        log.check(bytes(content), tally)
        await file.aclose()
        await asyncuring.unlink(file.name, driver=self._driver)


async def append(client: Client) -> None:
    await client.random.choice(client.world.appended).append(client)


async def commit(client: Client) -> None:
    await client.random.choice(client.world.grouped).append(client)


LOG_OPS = [("AppendingFile.append", append, 3), ("GroupCommit.append", commit, 4)]
