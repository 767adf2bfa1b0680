"""The example of a server, without its sockets: what it has replied survives a power cut."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from kv_commands import Commands
from kv_server import Client, LazyLog, Server

from asyncuring.testing import CrashTestError, crash_test
from tests.crash_wrong import LogWithoutSync
from tests.kv import words

if TYPE_CHECKING:
    from asyncuring.testing import SimulatedDisk

CLIENTS = 3
TURNS = 4
LOST_SECONDS_MAX = 2  # with everysec


class Wire(asyncio.Transport):
    """A connection: counts the replies to requests that come in pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = 0
        self._ended = False

    def write(self, data: Any) -> None:
        self.turns += bytes(data).count(b"+OK\r\n")

    def is_closing(self) -> bool:
        return self._ended

    def close(self) -> None:
        self._ended = True

    abort = close


async def ask(server: Server, number: int, promised: list[Any], pause: float) -> None:
    """Set a key and count, in one tick; a reply is a promise."""
    client, wire = Client(server), Wire()
    client.connection_made(wire)
    for turn in range(1, TURNS + 1):
        client.data_received(words("INCR", "count") + words("SET", f"key {number}", str(turn)))
        while wire.turns < turn:
            await asyncio.sleep(0.01)  # time passes while all wait
            if server.ended.done():
                return
        promised.append((asyncio.get_running_loop().time(), number, turn))
        await asyncio.sleep(pause)


async def serve(
    disk: SimulatedDisk, promised: list[Any], *, log_class: Any = LazyLog, always: bool = True
) -> None:
    """What `kv_server.serve` does, without its listener. The last promise is when it ended."""
    loop = asyncio.get_running_loop()
    disk.delay("write", "fdatasync", seconds=0.1)
    try:
        async with await log_class.open(disk.path / "log", driver=disk) as log:
            await log.begin()
            server = Server(Commands(), log.append if always else log.write)
            syncing = loop.create_task(log.sync_each(1.0))
            syncing.add_done_callback(server.syncing_ended)
            pause = 0.0 if always else 0.7
            await asyncio.gather(*(ask(server, n, promised, pause) for n in range(CLIENTS)))
            syncing.cancel()
            if server.ended.done():
                await server.ended  # raises why
            with suppress(asyncio.CancelledError):
                await syncing
            await server.aclose()
    finally:
        promised.append((loop.time(), 0, 0))


async def recover(disk: SimulatedDisk) -> dict[bytes, bytes]:
    commands = Commands()
    async with await LazyLog.open(disk.path / "log", driver=disk) as log:
        for record in log.recovered:
            commands.recover(record.payload)
    return commands.values


def check(found: dict[bytes, bytes], promised: list[Any], *, lost_seconds_max: float = 0) -> None:
    end = promised[-1][0]
    turns = [int(found.get(b"key %d" % number, 0)) for number in range(CLIENTS)]
    for time, number, turn in promised:
        assert time > end - lost_seconds_max or turns[number] >= turn, "a reply is lost"
    assert int(found.get(b"count", 0)) == sum(turns), "half a tick"


def test_what_was_replied_is_there_wherever_the_power_is_cut() -> None:
    assert crash_test(serve, recover, check, seeds=[1], states=6) > 40


def test_with_everysec_no_more_than_two_seconds_are_lost() -> None:
    checking = partial(check, lost_seconds_max=LOST_SECONDS_MAX)
    lazily = partial(serve, always=False)
    assert crash_test(lazily, recover, checking, seeds=[1], states=6) > 40
    with pytest.raises(CrashTestError, match="a reply is lost"):
        crash_test(lazily, recover, check, seeds=[1], states=2)


class NeverSyncing(LazyLog):
    async def sync_each(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class AppendingWithoutSync(LogWithoutSync, LazyLog):
    """`append` without fdatasync."""


@pytest.mark.parametrize(("wrong", "always"), [(AppendingWithoutSync, True), (NeverSyncing, False)])
def test_a_server_whose_log_is_wrong_is_found_out(wrong: Any, always: bool) -> None:
    checking = partial(check, lost_seconds_max=0 if always else LOST_SECONDS_MAX)
    with pytest.raises(CrashTestError, match="a reply is lost"):
        crash_test(
            partial(serve, log_class=wrong, always=always), recover, checking, seeds=[1], states=2
        )
