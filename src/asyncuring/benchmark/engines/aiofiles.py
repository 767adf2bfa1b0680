"""The package aiofiles: a seek and a read are two trips to a thread of the loop's own pool.

Its files share one position, so each op takes a file of its own (`own_files`). It can read into
a buffer, and past the page cache with an ``opener``; it has no sync.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import ASYNCIO_LOOPS, Engine
from asyncuring.benchmark.own_files import OPS, own_files
from asyncuring.benchmark.requirement import Package

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.workload import Ops


def _open(trial: Trial) -> AbstractAsyncContextManager[Ops]:
    import aiofiles  # noqa: PLC0415 - optional

    return own_files(trial, aiofiles.open, lambda file: file.close())


engines = (
    Engine(
        name="aiofiles",
        summary="aiofiles, a file for each op in flight",
        notes="seek and read are two awaits on one position: wrong bytes if tasks share a file;"
        " no sync",
        requires=Package("aiofiles>=25.1", "aiofiles"),
        open_async=_open,
        ops=OPS,
        loops=ASYNCIO_LOOPS,
        by_default=False,
    ),
)
