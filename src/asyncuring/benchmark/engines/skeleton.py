"""The next engine: copy this file, replace what it does, and name the copy in `__init__`.

It runs as it stands: it reads, in the task itself, from a file that it opened with ``os.open``.
What an engine measures in the copy's place belongs between the first line of an op and its last;
the client loop, the offsets, the buffers, the clock and the record are the benchmark's.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import ASYNCIO_LOOPS, Engine
from asyncuring.benchmark.workload import READ_AT, Ops

if TYPE_CHECKING:
    import mmap
    from collections.abc import AsyncIterator

    from asyncuring.benchmark.trial import Trial


# Required, or `open_sync`, where clients are threads, or `run`, for what has its own clients. Once
# per loop and file, before the clients start; what is behind the yield runs when all are done.
@asynccontextmanager
async def _open(trial: Trial) -> AsyncIterator[Ops]:
    # Whatever is not in the standard library is imported here: if it does not load, that is
    # this engine's failure, one row with its error, and not the sweep's.

    # `plain_fd.open_fd` does this for any workload: in some of them the file is written to as well,
    # and with small-files there is none, but a folder of them.
    fd = os.open(trial.path, os.O_RDONLY | os.O_CLOEXEC | (os.O_DIRECT if trial.direct else 0))

    # Required: one function for each name in `Engine.ops`, with the arguments that `workload.Ops`
    # says. It returns how many bytes were carried; what fails raises an OSError, and is counted.
    async def read_at(buf: mmap.mmap, off: int) -> int:
        # Into the client's buffer, which is aligned for O_DIRECT. A package that returns bytes of
        # its own is wrapped in `fresh_bytes.reading`, one whose files have a position in
        # `own_files`.
        count = os.preadv(fd, [buf], off)
        # Required where an op can be done within its await, for else no other client is served;
        # `yielding.after_async` adds it to all ops. Whether one is starved shows in the report.
        await asyncio.sleep(0)
        return count

    # Not required: `write_at`, `read_many_at`, `append`, `append_grouped` and `read_file`. One that
    # is not there keeps the engine out of the workloads that need it. `grouping.GroupedLog` makes
    # `append_grouped` of a write and a sync.

    try:
        yield Ops(read_at=read_at)
    finally:
        os.close(fd)


engines = (
    Engine(
        # Required: what `--engines` takes and all files say.
        name="skeleton",
        # Required: one line, of what does the reading.
        summary="where to begin a new engine",
        # Required where there is something to know: what it cannot do, or does badly.
        notes="os.preadv in the task itself",
        # Not required: what is to be installed. `Package("name>=1.0", "module", (3, 12))`, the
        # last being the oldest CPython it runs on, belongs into the extra `peers` as well.
        requires=None,
        open_async=_open,
        # Required: what `_open` yields.
        ops=(READ_AT,),
        # Required where it is not all of asyncio, uvloop and trio.
        loops=ASYNCIO_LOOPS,
        # Required where it cannot go past the page cache: direct=False.
        # Not required: a sweep without --engines has only those that everybody wants to see.
        by_default=False,
    ),
)
