"""No event loop at all: each client is a thread that blocks in ``os.preadv`` or the like."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import Engine
from asyncuring.benchmark.grouping import SyncGroupedLog
from asyncuring.benchmark.plain_fd import PLAIN_OPS, open_plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.workload import Ops


@contextmanager
def _open(trial: Trial) -> Iterator[Ops]:
    with open_plain(trial) as (ops, commit):
        if commit is None:
            yield ops
        else:
            yield replace(ops, append_grouped=SyncGroupedLog(commit).append)


engines = (
    Engine(
        name="blocking",
        summary="one thread per client, os.preadv or the like",
        notes="no event loop; a thread for each client",
        open_sync=_open,
        ops=PLAIN_OPS,
        loops=(),
    ),
)
