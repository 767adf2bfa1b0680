"""The examples' log and page store on a simulated disk: what `crash_test` runs, and checks.

Each program promises what the example has acknowledged, in the order in which it did. A recovery
that is deep goes through a second power cut, in its middle, and opens what that has left.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from page_cache import PAYLOAD_SIZE
from page_store import PageStore
from write_ahead_log import WriteAheadLog

from tests.running import Task
from tests.testing.disks import finished

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncuring.testing import SimulatedDisk

CLIENTS = 3
BEHIND = b"behind"  # what recovery appends
PAGES = 2  # of each client; they change together


async def each(function: Callable[[int], Awaitable[None]], count: int) -> None:
    """Run function(0), … at the same time to their ends; then raise what the first one raised."""
    tasks = [Task.start(function, number) for number in range(count)]
    for task in tasks:
        with suppress(OSError):
            await finished(task)
    for task in tasks:
        await task.join()


# -- the log


def record_of(client: int, turn: int) -> bytes:
    """A record that tells whose it is, and is longer than a sector."""
    return b"%d.%d " % (client, turn) * (120 + 30 * turn)


async def append(
    disk: SimulatedDisk,
    promised: list[Any],
    *,
    log_class: type[WriteAheadLog] = WriteAheadLog,
    turns: int = 2,
    fail_sync: int | None = None,
) -> None:
    """Append from some tasks. fail_sync: that many syncs of data succeed, and the next one fails.

    Behind a failed sync the log is opened again, and the next turns' records go on.
    """
    if fail_sync is not None:
        disk.fail("fdatasync", path="log", after=fail_sync)
    first = 0
    while first < turns:
        async with await log_class.open(disk.path / "log", driver=disk) as log:

            async def client(number: int, log: WriteAheadLog = log, first: int = first) -> None:
                for turn in range(first, turns):
                    record = record_of(number, turn)
                    await log.append(record, on_durable=partial(promised.append, record))

            try:
                await each(client, CLIENTS)
            except OSError:
                if disk.is_dead or fail_sync is None:
                    raise
                first += 1
                fail_sync = None
            else:
                return


async def reopen(disk: SimulatedDisk) -> list[bytes]:
    """What is found when it is opened again, and takes another record."""
    async with await WriteAheadLog.open(disk.path / "log", driver=disk) as log:
        found = [record.payload for record in log.recovered]
        await log.append(BEHIND)
    assert (disk.path / "log").read_bytes().endswith(BEHIND)
    return found


def check_log(found: list[bytes], promised: list[Any]) -> None:
    """All that was promised, in its order; and nothing that nobody has written."""
    known = {record_of(client, turn) for client in range(CLIENTS) for turn in range(9)}
    assert set(found) <= known | {BEHIND}, "what nobody has written"
    rest = iter(found)  # which may have others between: not promised, but durable
    assert all(record in rest for record in promised), "a record is lost"


# -- the page store


def content(client: int, turn: int) -> bytes:
    return b"%d %d" % (client, turn)


async def commit(  # noqa: PLR0913  what varies
    disk: SimulatedDisk,
    promised: list[Any],
    *,
    store_class: type[PageStore] = PageStore,
    turns: int = 2,
    clients: int = 2,
    fail_sync: int | None = None,
    failing: str = "*/pages",
) -> None:
    """Change pages from some tasks, with a checkpoint after the first turn of the first one.

    fail_sync: that many syncs of `failing` succeed; the next one fails, and it is opened again.
    """
    disk.delay("write", "fdatasync", path="*/pages", seconds=0.01)  # commits overtake checkpoints
    if fail_sync is not None:
        disk.fail("fdatasync", path=failing, after=fail_sync)
    first = 0
    while first < turns:
        try:
            async with await store_class.open(disk.path / "s", cache_pages=3, driver=disk) as store:

                async def client(number: int, store: PageStore = store, first: int = first) -> None:
                    for turn in range(first, turns):
                        async with store.transaction() as change:
                            for page in range(PAGES):
                                change.write(number * PAGES + page, content(number, turn + 1))
                        promised.append((number, turn + 1))
                        if number == turn == 0:
                            await store.checkpoint()

                await each(client, clients)
                first = turns
        except OSError as error:  # noqa: PERF203  once
            if disk.is_dead or fail_sync is None or error.errno != errno.EIO:
                raise
            first += 1
            fail_sync = None


async def reopen_store(disk: SimulatedDisk) -> dict[int, int]:
    """The turn that is found of each client when it is opened again."""
    async with await PageStore.open(disk.path / "s", cache_pages=3, driver=disk) as store:
        return await _turns(store)


async def _turns(store: PageStore) -> dict[int, int]:
    turns = {}
    for client in range(CLIENTS):
        pages = {await store.read(client * PAGES + page) for page in range(PAGES)}
        assert len(pages) == 1, "half a transaction"
        text = pages.pop()
        assert len(text) == PAYLOAD_SIZE
        if text.rstrip(b"\0"):
            whose, turn = map(int, text.rstrip(b"\0").split())
            assert whose == client, "another one's page"
            turns[client] = turn
    return turns


def check_store(found: dict[int, int], promised: list[Any]) -> None:
    """Of each client's turns at least the last one that was promised."""
    for client, turn in promised:
        assert found.get(client, 0) >= turn, "a transaction is lost"


# -- recoveries


def recovered_twice(
    recover: Callable[[SimulatedDisk], Awaitable[Any]], cut_at: int
) -> Callable[[SimulatedDisk], Awaitable[Any]]:
    """A recovery whose first attempt ends with a power cut."""

    async def twice(disk: SimulatedDisk) -> Any:
        disk.cut_power_at(cut_at)
        try:
            await recover(disk)
        except OSError:
            if not disk.is_dead:
                raise
        return await recover(disk.crash())

    return twice
