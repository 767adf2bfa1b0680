"""The server of docs/examples/kv_server.py with its log behind a thread pool, to compare with.

Usage: python -m benchmark.kv_thread_pool, and all as of kv_server.py. All else is the same.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent / "docs" / "examples"))

import kv_server

from benchmark.thread_pool_log import ThreadPoolGroups

if TYPE_CHECKING:
    import argparse


async def run(options: argparse.Namespace) -> None:
    """Open the log, and serve."""
    async with await kv_server.LazyLog.open(options.log, driver="threads") as log:
        await log.begin()
        durable = options.fsync == "always"
        groups = ThreadPoolGroups(log.uring_file.fileno(), log.end, durable=durable)

        async def append(payload: bytes) -> None:
            await groups.append(log.encode(payload))

        await kv_server.serve(options, log, append)


if __name__ == "__main__":
    kv_server.start(run, sys.argv[1:])
