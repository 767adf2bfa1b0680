"""`--verify` on what is written: engines that lose, spoil or misplace it are caught."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from asyncuring.benchmark import files
from asyncuring.benchmark.dataset import CorruptBlockError
from asyncuring.benchmark.engine import Engine
from asyncuring.benchmark.engines import ENGINES
from asyncuring.benchmark.execution import execute
from asyncuring.benchmark.plain_fd import open_fd
from asyncuring.benchmark.runner import run_in_fresh_process
from asyncuring.benchmark.workload import APPEND, APPEND_GROUPED, READ_AT, WRITE_AT, Ops
from tests.benchmark.small import BLOCK_SIZE, BLOCKS

if TYPE_CHECKING:
    import mmap
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path
    from typing import Any

    from asyncuring.benchmark.trial import Trial

WRITING = ["write", "mix", "append"]

ENGINES_AND_LOOPS = [("asyncuring", "asyncio"), ("thread-pool", "trio"), ("blocking", "none")]


@pytest.fixture
def careless(monkeypatch: pytest.MonkeyPatch, trial: Trial) -> Any:
    """Return a function that makes a trial of an engine whose writes the test carries out.

    It gets the fd, the buffer, the offset, and how many writes there were before.
    """

    def careless(
        write: Callable[[int, mmap.mmap, int, int], Awaitable[int]], workload: str
    ) -> Trial:
        @asynccontextmanager
        async def open_async(trial: Trial) -> AsyncIterator[Ops]:
            writes = 0
            with open_fd(trial) as fd:

                async def write_at(buf: mmap.mmap, off: int) -> int:
                    nonlocal writes
                    number, writes = writes, writes + 1
                    await asyncio.sleep(0)
                    return await write(fd, buf, off, number)

                async def append_grouped(buf: mmap.mmap, _off: int) -> int:
                    nonlocal writes
                    number, writes = writes, writes + 1
                    return await write(fd, buf, number * BLOCK_SIZE, number)

                async def read_at(buf: mmap.mmap, off: int) -> int:
                    await asyncio.sleep(0)
                    return os.preadv(fd, [buf], off)

                yield Ops(
                    read_at=read_at,
                    write_at=write_at,
                    append=write_at,
                    append_grouped=append_grouped,
                )

        ops = (READ_AT, WRITE_AT, APPEND, APPEND_GROUPED)
        engine = Engine(name="careless", summary="", open_async=open_async, ops=ops)
        monkeypatch.setitem(ENGINES, engine.name, engine)
        share = 0.5 if workload == "mix" else 0.0
        return replace(trial, engine=engine.name, workload=workload, read_share=share, verify=True)

    return careless


@pytest.mark.parametrize(("engine", "loop"), ENGINES_AND_LOOPS)
@pytest.mark.parametrize("workload", WRITING)
def test_sound_writes_verify(engine: str, loop: str, workload: str, trial: Trial) -> None:
    trial = replace(trial, engine=engine, loop=loop, workload=workload, read_share=0.5)
    loops = 1 if loop == "none" else 2
    record = run_in_fresh_process(replace(trial, verify=True, clients=3, pipeline=4, loops=loops))
    assert record["error"] is None
    assert [client["ops"] for client in record["clients"]] == [20] * 3


@pytest.mark.parametrize("workload", [*WRITING, "append-group"])
def test_whole_writes_verify_and_come_back_to_the_same_places(careless: Any, workload: str) -> None:
    async def write(fd: int, buf: mmap.mmap, off: int, _number: int) -> int:
        return os.pwritev(fd, [buf], off)

    trial = careless(write, workload)
    # More than there are places.
    for clients in (1, 3):
        record = execute(replace(trial, clients=clients, ops_per_client=BLOCKS + 50))
        assert [client["ops"] for client in record["clients"]] == [BLOCKS + 50] * clients


@pytest.mark.parametrize("workload", [*WRITING, "append-group"])
def test_a_write_that_was_lost_is_missed(careless: Any, workload: str) -> None:
    async def write(fd: int, buf: mmap.mmap, off: int, number: int) -> int:
        return BLOCK_SIZE if number == 11 else os.pwritev(fd, [buf], off)

    trial = careless(write, workload)
    with pytest.raises(CorruptBlockError, match=r"was (written|acknowledged), and is not in the"):
        execute(replace(trial, clients=1, ops_per_client=40))


@pytest.mark.parametrize("workload", [*WRITING, "append-group"])
def test_half_a_write_is_seen(careless: Any, workload: str) -> None:
    async def write(fd: int, buf: mmap.mmap, off: int, number: int) -> int:
        end = BLOCK_SIZE // 2 if number == 11 else BLOCK_SIZE
        with memoryview(buf)[:end] as part:
            os.pwritev(fd, [part], off)
        return BLOCK_SIZE

    with pytest.raises(CorruptBlockError, match=r"does not match|is not in the log"):
        execute(replace(careless(write, workload), clients=1, ops_per_client=40))


def test_a_write_to_the_wrong_place_is_seen(careless: Any) -> None:
    async def write(fd: int, buf: mmap.mmap, off: int, number: int) -> int:
        return os.pwritev(fd, [buf], off ^ BLOCK_SIZE if number == 11 else off)

    with pytest.raises(CorruptBlockError, match=r"carries the number|is not in the file"):
        execute(replace(careless(write, "write"), clients=1, ops_per_client=40))


@pytest.mark.parametrize("workload", ["write", "append", "append-group"])
def test_what_a_failed_write_leaves_is_nobodys_fault(careless: Any, workload: str) -> None:
    async def write(fd: int, buf: mmap.mmap, off: int, number: int) -> int:
        with memoryview(buf)[:100] as part:
            os.pwritev(fd, [buf] if number != 11 else [part], off)
        return BLOCK_SIZE if number != 11 else 100

    trial = replace(careless(write, workload), clients=1, ops_per_client=40)
    for _ in "ab":
        # The second finds what the first left.
        (client,) = execute(trial)["clients"]
        assert (client["ops"], client["errors"]) == (39, {"short": 1})


def test_who_reads_what_is_being_written_may_get_a_part_of_each(careless: Any) -> None:
    half = BLOCK_SIZE // 2

    async def write(fd: int, buf: mmap.mmap, off: int, _number: int) -> int:
        with memoryview(buf) as view:
            os.pwritev(fd, [view[:half]], off)
            # Others read meanwhile.
            await asyncio.sleep(0)
            return half + os.pwritev(fd, [view[half:]], off + half)

    trial = replace(careless(write, "mix"), file_size=4 * BLOCK_SIZE, clients=16)
    execute(replace(trial, ops_per_client=100))


def test_a_corrupt_block_in_a_mix_is_seen_where_nobody_writes(careless: Any) -> None:
    async def write(fd: int, buf: mmap.mmap, off: int, number: int) -> int:
        if number == 0:
            # Behind the engine's back, all of the file.
            os.pwrite(fd, bytes(BLOCKS * BLOCK_SIZE), 0)
        return os.pwritev(fd, [buf], off)

    with pytest.raises(CorruptBlockError, match="carries the number 0"):
        execute(replace(careless(write, "mix"), clients=1, ops_per_client=40))


def test_a_file_that_a_trial_left_broken_is_filled_before_the_next(
    trial: Trial, blocks: Path
) -> None:
    blocks.write_bytes(bytes(BLOCKS * BLOCK_SIZE))
    trial = replace(trial, workload="mix", read_share=0.5, verify=True)
    assert run_in_fresh_process(trial)["error"] is None
    files.ensure(trial, lambda _: None)
