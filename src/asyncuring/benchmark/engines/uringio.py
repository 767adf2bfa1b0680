"""The package uringio, which brings an event loop of its own, and runs on no other.

Its reads return bytes of their own. When its loop is closed, two descriptors stay open.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import Engine
from asyncuring.benchmark.fresh_bytes import reading
from asyncuring.benchmark.grouping import GroupedLog
from asyncuring.benchmark.requirement import Package
from asyncuring.benchmark.workload import (
    APPEND,
    APPEND_GROUPED,
    READ_AT,
    READ_FILE,
    WORKLOADS,
    WRITE_AT,
    Ops,
)

if TYPE_CHECKING:
    import mmap
    from collections.abc import AsyncIterator
    from typing import Any

    from asyncuring.benchmark.trial import Trial


@asynccontextmanager
async def _open(trial: Trial) -> AsyncIterator[Ops]:
    import uringio  # noqa: PLC0415 - optional

    def open_file(path: str, flags: int) -> Any:
        # It calls openat2, which refuses permissions where nothing is to be created.
        return uringio.open_file(path=path, flags=flags | os.O_CLOEXEC, mode=0)

    workload = WORKLOADS[trial.workload]
    if READ_FILE in workload.ops:

        async def read_file(path: str) -> bytes:
            async with await open_file(path, os.O_RDONLY) as file:
                data: bytes = await file.read(offset=0, size=trial.block_size)
                return data

        yield Ops(read_file=reading(read_file, trial))
        return
    async with await open_file(trial.path, os.O_RDWR if workload.writes else os.O_RDONLY) as file:
        yield _ops(file, trial)


def _ops(file: Any, trial: Trial) -> Ops:
    read, write, sync, size = file.read, file.write, file.fdatasync, trial.block_size

    def write_at(buf: mmap.mmap, off: int) -> Any:
        return write(data=buf, offset=off)

    async def append(buf: mmap.mmap, off: int) -> int:
        count: int = await write(data=buf, offset=off)
        await sync()
        return count

    async def commit(buffers: list[mmap.mmap], off: int) -> int:
        count: int = await write(data=b"".join(buffers), offset=off)
        await sync()
        return count

    return Ops(
        read_at=reading(lambda off: read(offset=off, size=size), trial),
        write_at=write_at,
        append=append,
        append_grouped=GroupedLog(trial, commit).append,
    )


engines = (
    Engine(
        name="uringio",
        summary="uringio on its own event loop",
        notes="runs on no other loop, which leaves descriptors behind when it is closed;"
        " returns bytes of its own",
        requires=Package("uringio>=0.4.4", "uringio", (3, 12)),
        open_async=_open,
        ops=(READ_AT, WRITE_AT, APPEND, APPEND_GROUPED, READ_FILE),
        direct=False,
        loops=("uringio",),
        by_default=False,
    ),
)
