"""For packages whose files are those of ``open``: a position, moved by a seek in a thread.

A seek and a read are two awaits. Between them another task may seek: eight clients that shared
one file of aiofiles got the wrong block for nearly all of their reads. So each op takes a file that
nobody else uses, of which there are as many, then, as there were ops in flight.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from asyncuring.benchmark.workload import READ_AT, READ_FILE, WORKLOADS, WRITE_AT, Ops

if TYPE_CHECKING:
    import mmap
    from collections.abc import AsyncIterator, Awaitable, Callable
    from typing import Any

    from asyncuring.benchmark.trial import Trial

    OpenFile = Callable[..., Awaitable[Any]]
    """Takes what ``open`` takes."""
    CloseFile = Callable[[Any], Awaitable[object]]

OPS = (READ_AT, WRITE_AT, READ_FILE)


@asynccontextmanager
async def own_files(trial: Trial, open_file: OpenFile, close: CloseFile) -> AsyncIterator[Ops]:
    """Yield ops on files of the trial's path, opened as they are needed; close them."""
    mode = "r+b" if WORKLOADS[trial.workload].writes else "rb"
    opened: list[Any] = []
    idle: list[Any] = []

    def opener(path: str, flags: int) -> int:
        return os.open(path, flags | (os.O_DIRECT if trial.direct else 0))

    async def take() -> Any:
        if idle:
            return idle.pop()
        file = await open_file(trial.path, mode, buffering=0, opener=opener)
        opened.append(file)
        return file

    async def read_at(buf: mmap.mmap, off: int) -> int:
        file = await take()
        try:
            await file.seek(off)
            count: int = await file.readinto(buf)
            return count
        finally:
            idle.append(file)

    async def write_at(buf: mmap.mmap, off: int) -> int:
        file = await take()
        try:
            await file.seek(off)
            count: int = await file.write(buf)
            return count
        finally:
            idle.append(file)

    async def read_file(buf: mmap.mmap, path: str) -> int:
        file = await open_file(path, "rb", buffering=0, opener=opener)
        try:
            count: int = await file.readinto(buf)
            return count
        finally:
            await close(file)

    try:
        yield Ops(read_at=read_at, write_at=write_at, read_file=read_file)
    finally:
        for file in opened:
            await close(file)
