"""Children of a process that is busy: forked ones, and those of multiprocessing. They do real work.

Used by `test_families`. As a program it goes through rounds: arguments are how children come to be,
the loop, the driver, a folder, rounds. It prints what was seen.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio
import uvloop

import asyncuring
from tests.running import checkpoint
from tests.stress.lives import Busy, busy_files
from tests.stress.pages import BLOCK, BLOCKS, OLD, check_files, make_files

if TYPE_CHECKING:
    from collections.abc import Callable

CHILDREN = 2
DRIVERS = ["uring", "uring-local", "threads"]
EXIT_CODE = 7


def run(loop: str, main: Callable[..., Any], *arguments: Any) -> Any:
    if loop == "trio":
        return trio.run(main, *arguments)
    return (uvloop if loop == "uvloop" else asyncio).run(main(*arguments))


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
    pages: list[int] = []
    thread = threading.Thread(target=lambda: pages.append(run(loop, use_all_drivers, folder)))
    thread.start()
    thread.join()
    return sum(pages)


def forked(loop: str, folder: str) -> Any:
    """Fork in the middle of a loop; returns what gives its exit code, once it has ended."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = EXIT_CODE if work(loop, folder) == BLOCKS * len(DRIVERS) else 1
        finally:
            os._exit(code)

    def exit_code() -> int | None:
        pid, status = os.waitpid(child, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None

    return exit_code


def started(method: str, loop: str, folder: str) -> Any:
    context: Any = multiprocessing.get_context(method)
    process = context.Process(target=exit_after_work, args=(loop, folder))
    process.start()
    return lambda: process.exitcode


def exit_after_work(loop: str, folder: str) -> None:
    sys.exit(EXIT_CODE if work(loop, folder) == BLOCKS * len(DRIVERS) else 1)


async def rounds_of(method: str, loop: str, driver: str, folder: Path, rounds: int) -> list[int]:
    """A parent that goes on all the while: its reads and writes are verified by themselves."""
    codes: list[int] = []
    busy = Busy(driver, folder, bytearray(BLOCKS))
    async with busy_files(busy):
        for _ in range(rounds):
            children = [
                forked(loop, str(folder))
                if method == "os.fork"
                else started(method, loop, str(folder))
                for _ in range(CHILDREN)
            ]
            for child in children:
                while (code := child()) is None:
                    await checkpoint()
                codes.append(code)
        # Its streams are as before: what is written now is what the oldest reads get.
        assert [bytes(buf) for buf in busy.buffers] == [bytes(8)] * 4
        os.write(busy.files[0].fileno(), b"12345678" * 4)
        while any(buf != b"12345678" for buf in busy.buffers):
            await checkpoint()
    check_files(folder, bytes(busy.acknowledged))
    assert asyncuring.statistics().drivers == ()
    return codes


def main() -> None:
    method, loop, driver, place, rounds = sys.argv[1:]
    folder = Path(place)
    make_files(folder)
    codes = run(loop, rounds_of, method, loop, driver, folder, int(rounds))
    print(json.dumps({"codes": codes, "left": sorted(path.name for path in folder.iterdir())}))  # noqa: T201


if __name__ == "__main__":
    main()
