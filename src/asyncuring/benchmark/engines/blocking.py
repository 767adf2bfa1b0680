"""No event loop at all: each client is a thread that blocks in ``os.preadv``."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import Engine
from asyncuring.benchmark.plain_fd import open_fd

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

    from asyncuring.benchmark.client import SyncReadAt
    from asyncuring.benchmark.trial import Trial


@contextmanager
def _open(trial: Trial) -> Iterator[SyncReadAt]:
    with open_fd(trial) as fd:

        def read_at(buf: mmap.mmap, off: int) -> int:
            return os.preadv(fd, [buf], off)

        yield read_at


engine = Engine(
    name="blocking",
    summary="one thread per client, os.preadv",
    open_sync=_open,
)
