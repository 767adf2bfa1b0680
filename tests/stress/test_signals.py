"""A thousand signals a second, each with a Python handler, while a program reads and writes."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from asyncuring import open_file
from tests.running import Task, checkpoint, gather

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from asyncuring import UringFile
    from asyncuring._runtime import DriverName
    from tests.running import Run

SECONDS_BETWEEN = 0.001
SIGNALS = 1000
CLIENTS, BLOCK = 16, 4096


@contextmanager
def signals() -> Iterator[list[int]]:
    """Have them come; gives a list that has one number for each that was handled."""
    handled: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _frame: handled.append(number))
    signal.setitimer(signal.ITIMER_REAL, SECONDS_BETWEEN, SECONDS_BETWEEN)
    try:
        yield handled
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


async def one_round(uring_file: UringFile, place: int, version: int) -> None:
    content, back = bytes([version % 256]) * BLOCK, bytearray(BLOCK)
    await uring_file.write_all_at(content, place)
    await uring_file.read_exactly_at(back, place)
    assert back == content
    async with uring_file.chain() as chain:
        chain.write_all_at(content[::-1], place)
        chain.fdatasync()
        chain.read_exactly_at(back, place)
    assert back == content
    assert (await uring_file.stat()).size >= BLOCK


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_signals_disturb_no_operation(  # noqa: PLR0913, PLR0917
    run: Run,
    loop: str,
    driver: DriverName,
    tmp_path: Path,
    fifo: Path,
    note_attack: Callable[..., None],
) -> None:
    rounds = [0] * CLIENTS

    async def main() -> None:
        async with (
            await open_file(tmp_path / "file", "w+", driver=driver, cached_reads="ring") as file,
            await open_file(fifo, "r+", driver=driver) as stream,
        ):
            waiting = Task.start(stream.read_at, bytearray(1), 0)

            async def client(number: int) -> None:
                while len(handled) < SIGNALS:
                    await one_round(file, number * BLOCK, rounds[number])
                    rounds[number] += 1

            with signals() as handled:
                await gather(client, CLIENTS)
                assert not waiting.done
                await stream.write_at(b"1", 0)
                assert await waiting.join() == 1
            await checkpoint()

    run(main)
    assert min(rounds) > 0
    note_attack(
        "hostile system",
        "signals at 1 kHz, with a Python handler",
        f"{driver}, {loop}",
        f"{SIGNALS} signals, {CLIENTS} clients that write, read, chain and stat; a read of a FIFO",
        "each operation came out as it should",
    )
