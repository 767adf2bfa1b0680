"""No event loop at all: each client is a thread that blocks in ``os.preadv`` or ``os.pwritev``."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import Engine
from asyncuring.benchmark.plain_fd import open_fd, vector_at
from asyncuring.benchmark.workload import READ, WRITE

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.workload import SyncOp


@contextmanager
def _open(trial: Trial) -> Iterator[SyncOp]:
    at = vector_at(trial)
    with open_fd(trial) as fd:

        def op(buf: mmap.mmap, off: int) -> int:
            return at(fd, [buf], off)

        yield op


engine = Engine(
    name="blocking",
    summary="one thread per client, os.preadv or os.pwritev",
    open_sync=_open,
    workloads=(READ, WRITE),
)
