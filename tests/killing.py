"""Real processes that write and are killed with SIGKILL: what they said is durable must be there.

A writer prints a line for what it was promised. After the kill the files are opened again, and
looked at; the next writer goes on with them.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from page_cache import PAYLOAD_SIZE
from page_store import PageStore

from tests.kv import Connection, finish, server, words
from tests.running import run_asyncio

if TYPE_CHECKING:
    from asyncuring._runtime import DriverName

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"

TASKS, PAGES = 8, 3
"""Each task changes pages of its own, all to the same number, in one transaction."""

WRITER = """
import asyncio, os, sys
sys.path.insert(0, sys.argv[1])
import page_store
page_store.LOG_BYTES_MAX = 400_000  # so that the kill meets checkpoints, too
path, driver, first = sys.argv[2], sys.argv[3], int(sys.argv[4])

async def task(store, number):
    turn = first
    while True:
        turn += 1
        async with store.transaction() as change:
            for page in range(3):
                change.write(number * 3 + page, b"%d" % turn)
        os.write(1, b"%d %d\\n" % (number, turn))

async def main():
    async with await page_store.PageStore.open(path, cache_pages=10, driver=driver) as store:
        await asyncio.gather(*(task(store, number) for number in range(8)))

asyncio.run(main())
"""


async def page_numbers(path: Path, driver: DriverName) -> list[list[int]]:
    """Return what each task's pages hold."""
    async with await PageStore.open(path, driver=driver) as store:
        pages = [await store.read(number) for number in range(TASKS * PAGES)]
        assert {len(page) for page in pages} == {PAYLOAD_SIZE}
        found = [int(page.rstrip(b"\0") or b"0") for page in pages]
        return [found[start : start + PAGES] for start in range(0, len(found), PAGES)]


def kill_page_store(path: Path, driver: DriverName, rounds: int, seed: int) -> int:
    """Kill a page store again and again; returns how many transactions were promised."""
    choice = random.Random(seed)
    promised = [0] * TASKS
    lines = 0
    for _ in range(rounds):
        command = [sys.executable, "-c", WRITER, str(EXAMPLES), str(path)]
        command += [driver, str(max(promised))]
        enough = choice.randrange(1, 400)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for count, line in enumerate(process.stdout):
                number, turn = map(int, line.split())
                promised[number] = turn
                lines += 1
                if count == enough:
                    process.kill()
        highest = max(promised)
        for number, found in enumerate(run_asyncio(page_numbers, path, driver)):
            assert len(set(found)) == 1, f"half a transaction of task {number}: {found}"
            # The one under way may have come through; no other can have.
            assert promised[number] <= found[0] <= highest + 1
            promised[number] = found[0]
    return lines


def kill_kv_server(log: Path, rounds: int, seed: int, *options: str) -> int:
    """Kill a server under the load of several clients; returns how many changes were promised."""
    choice = random.Random(seed)
    counts = [0] * TASKS
    promised = 0
    for number in range(rounds):
        with server(log, "--fsync", "always", *options) as (process, port):
            before = [*counts]
            check_counts(port, counts)
            clients = [
                threading.Thread(target=increment, args=(port, index, counts, process))
                for index in range(TASKS)
            ]
            for client in clients:
                client.start()
            enough = choice.randrange(20, 2000)
            while sum(counts) - sum(before) < enough and process.poll() is None:
                clients[number % TASKS].join(0.005)
            process.kill()
            for client in clients:
                client.join()
            finish(process)
        promised += sum(counts) - sum(before)
    with server(log) as (_, port):
        check_counts(port, counts)
    return promised


def check_counts(port: int, counts: list[int]) -> None:
    """Look whether each count is there, and no half of an MSET; take over what came through."""
    connection = Connection(port)
    with connection.socket:
        for index, count in enumerate(counts):
            names = (f"count {index}", f"left {index}", f"right {index}")
            connection.send(b"".join(words("GET", name) for name in names))
            values = [int(value or b"0") for value in (receive_bulk(connection) for _ in names)]
            assert count <= values[0] <= count + PIPELINE
            assert values[1] == values[2]
            assert values[1] in (values[0], values[0] - 1)
            counts[index] = values[0]


PIPELINE = 5


def increment(port: int, index: int, counts: list[int], process: subprocess.Popen[str]) -> None:
    """Count up, a few requests at a time, until the server is gone."""
    try:
        connection = Connection(port)
        with connection.socket:
            while process.poll() is None:
                turns = range(counts[index] + 1, counts[index] + 1 + PIPELINE)
                connection.send(b"".join(one_turn(index, turn) for turn in turns))
                for turn in turns:
                    expected = b":%d\r\n+OK\r\n" % turn
                    if connection.receive(len(expected)) != expected:
                        return
                    counts[index] = turn
    except ConnectionError:
        return


def one_turn(index: int, turn: int) -> bytes:
    text = str(turn)
    mset = words("MSET", f"left {index}", text, f"right {index}", text)
    return words("INCR", f"count {index}") + mset


def receive_bulk(connection: Connection) -> bytes | None:
    head = b""
    while not head.endswith(b"\r\n"):
        head += connection.receive(1)
    length = int(head[1:])
    return None if length < 0 else connection.receive(length + 2)[:-2]
