"""This library: with the driver that it chooses by itself, with each by name, and with classes."""

from __future__ import annotations

import dataclasses
import os
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import Engine
from asyncuring.benchmark.workload import (
    APPEND,
    APPEND_GROUPED,
    READ_AT,
    READ_FILE,
    READ_MANY_AT,
    WORKLOADS,
    WRITE_AT,
    Ops,
)

if TYPE_CHECKING:
    import mmap
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from typing import Any

    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.workload import Op

OPS = (READ_AT, WRITE_AT, READ_MANY_AT, APPEND, APPEND_GROUPED, READ_FILE)


def opener(**options: Any) -> Callable[[Trial], AbstractAsyncContextManager[Ops]]:
    """Return a function that opens a trial's file with these options of `asyncuring.open_file`."""

    @asynccontextmanager
    async def open_trial(trial: Trial) -> AsyncIterator[Ops]:
        # Imported late: a library that does not load is this engine's failure, not the sweep's.
        import asyncuring  # noqa: PLC0415

        async def open_file(path: str, mode: Any = "r") -> Any:
            return await asyncuring.open_file(path, mode, direct=trial.direct, **options)

        workload = WORKLOADS[trial.workload]
        if READ_FILE in workload.ops:
            # The driver ends with the last file; whoever opens many has some that stay open.
            async with await asyncuring.open_file(os.devnull, **options):
                yield Ops(read_file=_read_file(open_file))
            return
        async with await open_file(trial.path, "r+" if workload.writes else "r") as uring_file:
            yield Ops(
                read_at=uring_file.read_at,
                write_at=uring_file.write_at,
                read_many_at=uring_file.read_many_at,
                append=_append(uring_file),
                append_grouped=_append_grouped(asyncuring.GroupCommit(uring_file, 0)),
            )

    return open_trial


def _read_file(open_file: Callable[[str], Any]) -> Op:
    async def read_file(buf: mmap.mmap, path: str) -> int:
        async with await open_file(path) as uring_file:
            count: int = await uring_file.read_at(buf, 0)
            return count

    return read_file


def _append(uring_file: Any) -> Op:
    async def append(buf: mmap.mmap, off: int) -> int:
        # Not `durable=True`: its sync is a part of the write, and of writes to one file the
        # kernel does one at a time.
        async with uring_file.chain() as chain:
            chain.write_all_at(buf, off)
            chain.fdatasync()
        return len(buf)

    return append


def _append_grouped(log: Any) -> Op:
    append = log.append

    async def append_grouped(buf: mmap.mmap, _off: int) -> int:
        await append(buf)
        return len(buf)

    return append_grouped


def statistics() -> dict[str, Any]:
    """Return the library's own counters, the driver in use among them."""
    import asyncuring  # noqa: PLC0415

    return dataclasses.asdict(asyncuring.statistics())


def _background() -> AbstractContextManager[object]:
    # Imported late, as the library is.
    import asyncuring  # noqa: PLC0415

    return asyncuring.IoClass("background", shares=10)


def _engine(
    name: str,
    summary: str,
    notes: str = "",
    *,
    by_default: bool = False,
    background: Callable[[], AbstractContextManager[object]] = nullcontext,
    **options: Any,
) -> Engine:
    return Engine(
        name=name,
        summary=f"asyncuring, {summary}",
        notes=notes,
        open_async=opener(**options),
        background=background,
        details=statistics,
        ops=OPS,
        by_default=by_default,
    )


engines = (
    _engine(
        "asyncuring",
        "default driver",
        "io_uring if it works here, else native threads",
        by_default=True,
    ),
    _engine("asyncuring-uring", 'driver="uring"', "never falls back to threads", driver="uring"),
    _engine(
        "asyncuring-ring",
        'cached_reads="ring"',
        "no reads in the calling thread: the driver makes every copy",
        cached_reads="ring",
    ),
    _engine(
        "asyncuring-uring-local",
        'driver="uring-local", cached_reads="ring"',
        "a ring for each loop, and no thread",
        driver="uring-local",
        cached_reads="ring",
    ),
    _engine(
        "asyncuring-threads",
        'driver="threads"',
        "what it is where io_uring is forbidden",
        by_default=True,
        driver="threads",
    ),
    _engine(
        "asyncuring-classes",
        "with --background in a class of a tenth of the shares",
        background=_background,
    ),
)
