"""The package anyio, its ``open_file``: each call a trip to a thread, of which there are 40.

Its files share one position, so each op takes a file of its own (`own_files`). It can read into
a buffer, and past the page cache with an ``opener``; it has no sync. trio's own ``open_file`` is
made the same way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import Engine
from asyncuring.benchmark.own_files import OPS, own_files
from asyncuring.benchmark.requirement import Package

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.workload import Ops


def _open(trial: Trial) -> AbstractAsyncContextManager[Ops]:
    import anyio  # noqa: PLC0415 - optional

    return own_files(trial, anyio.open_file, lambda file: file.aclose())


engines = (
    Engine(
        name="anyio",
        summary="anyio.open_file, a file for each op in flight",
        notes="seek and read are two awaits on one position: wrong bytes if tasks share a file;"
        " no sync",
        requires=Package("anyio>=4.9", "anyio"),
        open_async=_open,
        ops=OPS,
        by_default=False,
    ),
)
