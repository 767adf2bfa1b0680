"""No event loop at all: each client is a thread that blocks in ``os.preadv`` or the like."""

from __future__ import annotations

from asyncuring.benchmark.engine import Engine
from asyncuring.benchmark.plain_fd import PLAIN_OPS, open_plain

engine = Engine(
    name="blocking",
    summary="one thread per client, os.preadv or os.pwritev",
    open_sync=open_plain,
    ops=PLAIN_OPS,
)
