"""What a child of a busy process does: real work, with each driver, on a loop of its own.

Of what it imports a child that is spawned has to wait for, some hundred times, so it is little.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncuring
from tests.stress.pages import BLOCK, BLOCKS, OLD

if TYPE_CHECKING:
    from collections.abc import Callable

DRIVERS = ["uring", "uring-local", "threads"]
EXIT_CODE = 7


def run(loop: str, main: Callable[..., Any], *arguments: Any) -> Any:
    module = importlib.import_module(loop)
    return module.run(main, *arguments) if loop == "trio" else module.run(main(*arguments))


async def use_all_drivers(folder: str) -> int:
    """What a child does: read, directly too, and write a file of its own, with each driver."""
    pages = 0
    for name in DRIVERS:
        opened: Any = {"driver": name, "cached_reads": "ring"}
        path = Path(folder) / "read"
        async with await asyncuring.open_file(path, **opened) as file:
            bufs = [bytearray(BLOCK) for _ in range(BLOCKS)]
            await file.read_many_at([(buf, number * BLOCK) for number, buf in enumerate(bufs)])
            assert all(buf == OLD for buf in bufs)
            pages += BLOCKS
        path = Path(folder) / f"of {os.getpid()}"
        async with await asyncuring.open_file(path, "w+", **opened) as file:
            await file.write_all_at(OLD, 0)
            await file.fdatasync()
            assert await file.read_at(bytearray(BLOCK), 0) == BLOCK
        path.unlink()
    assert asyncuring.statistics().drivers == ()
    return pages


def work(loop: str, folder: str) -> int:
    """In a child: a loop of its own; in a thread, for a forked child's first is in its parent's."""
    faulthandler.enable()  # if it hangs, its parent asks where
    pages: list[int] = []
    thread = threading.Thread(target=lambda: pages.append(run(loop, use_all_drivers, folder)))
    thread.start()
    thread.join()
    return EXIT_CODE if sum(pages) == BLOCKS * len(DRIVERS) else 1


def exit_after_work(loop: str, folder: str) -> None:
    sys.exit(work(loop, folder))
