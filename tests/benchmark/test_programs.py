"""The thread-pool twins of the examples do the same, and the programs that compare them run."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from benchmark import kv, page_store
from tests.kv import Connection, server, words
from tests.running import gather, run_asyncio

if TYPE_CHECKING:
    from pathlib import Path

TWIN = ("-m", "benchmark.kv_thread_pool")


@pytest.mark.parametrize("fsync", ["always", "never"])
def test_the_servers_twin_recovers_what_it_has_logged(tmp_path: Path, fsync: str) -> None:
    for turn in range(2):
        with server(tmp_path / "log", "--fsync", fsync, program=TWIN) as (process, port):
            clients = [Connection(port) for _ in range(5)]
            for number, client in enumerate(clients):
                client.send(words("INCR", f"count {number}") + words("SET", "a", str(number)))
            for client in clients:
                expected = b":%d\r\n+OK\r\n" % (turn + 1)
                assert client.receive(len(expected)) == expected
                client.socket.close()
            process.kill()


def test_the_stores_twin_recovers_what_it_has_committed(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "store"
        async with await page_store.ThreadPoolStore.open(path, cache_pages=5) as store:

            async def client(number: int) -> None:
                for turn in range(3):
                    await store.write(number, b"%d %d" % (number, turn))
                    if number == 7:
                        await store.checkpoint()

            await gather(client, 20)
        async with await page_store.ThreadPoolStore.open(path, cache_pages=5) as store:
            for number in range(20):
                assert (await store.read(number)).startswith(b"%d 2\0" % number)

    run_asyncio(main)


def test_the_stores_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_store, "PAGES", 100)
    monkeypatch.setattr(page_store, "CACHE_PAGES", 10)
    monkeypatch.setattr(page_store, "SLICE_S", 0.01)
    found = run_asyncio(page_store.measure, os.fspath(tmp_path), 2)
    assert set(found) == {(what, n) for what in ("read", "transaction") for n in (1, 64)}
    assert all(rate > 0 for pairs in found.values() for pair in pairs for rate, _ in pair)
    assert all(len(pairs) == 2 for pairs in found.values())


def test_the_servers_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("redis-server", "redis-benchmark"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (Debian: redis-server and redis-tools)")
    monkeypatch.setattr(kv, "REQUESTS", dict.fromkeys(kv.REQUESTS, 3000))
    out = tmp_path / "kv.csv"
    monkeypatch.setattr(sys, "argv", ["kv", str(tmp_path), "--repeats", "1", "--out", str(out)])
    kv.main()
    with out.open() as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == len(kv.TESTS) * len(kv.PIPELINES) * len(kv.SERVERS)
    assert all(float(row["ops_per_second"]) > 0 for row in rows)
    assert {row["ratio_to_redis"] for row in rows if row["server"] == "redis-server"} == {"1.000"}
    assert [path.name for path in tmp_path.iterdir()] == ["kv.csv"]


def test_redis_is_asked_for_with_a_word_if_it_is_not_there(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmark.kv", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": str(tmp_path)},
    )
    assert done.returncode == 1
    assert done.stderr.startswith("redis-server is not installed")
