"""Children of a process that is busy: forked ones, and those of multiprocessing.

Used by `test_families`. As a program it goes through rounds: arguments are how children come to be,
the loop, the driver, a folder, rounds. It prints what was seen. A child that does not end as it
should says why on stderr, which it shares, and is named there.
"""

from __future__ import annotations

import faulthandler
import json
import multiprocessing
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncuring
from tests.running import checkpoint, until
from tests.stress.children import EXIT_CODE, exit_after_work, run, work
from tests.stress.lives import Busy, busy_files
from tests.stress.pages import BLOCKS, check_files, make_files

if TYPE_CHECKING:
    from collections.abc import Callable

CHILDREN = 2
SECONDS_MAX = 20.0  # of a child, which may have to import everything

# The pid of a child, and what gives its exit code once it has ended.
Child = tuple[int, "Callable[[], int | None]"]


def forked(loop: str, folder: str) -> Child:
    """Fork in the middle of a loop."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = work(loop, folder)
        except Exception:  # noqa: BLE001  nothing of the parent's may go on in here
            traceback.print_exc()
        finally:
            os._exit(code)

    def exit_code() -> int | None:
        pid, status = os.waitpid(child, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None

    return child, exit_code


def started(method: str, loop: str, folder: str) -> Child:
    context: Any = multiprocessing.get_context(method)
    process = context.Process(target=exit_after_work, args=(loop, folder))
    process.start()
    return process.pid, lambda: process.exitcode


async def _code_of(child: Child, who: str) -> int:
    pid, exit_code = child
    begin, asked = time.monotonic(), False
    while (code := exit_code()) is None:
        await checkpoint()
        if time.monotonic() - begin > SECONDS_MAX and not asked:
            os.kill(pid, signal.SIGABRT)  # a hang: faulthandler says where
            asked = True
    if code != EXIT_CODE:
        sys.stderr.write(f"{who} ended with {code}, {time.monotonic() - begin:.1f} s after that\n")
    return code


async def rounds_of(method: str, loop: str, driver: str, folder: Path, rounds: int) -> list[int]:
    """A parent that goes on all the while: its reads and writes are verified by themselves."""
    codes: list[int] = []
    busy = Busy(driver, folder, bytearray(BLOCKS))
    async with busy_files(busy):
        for number in range(rounds):
            children = [
                forked(loop, str(folder))
                if method == "os.fork"
                else started(method, loop, str(folder))
                for _ in range(CHILDREN)
            ]
            for child in children:
                who = f"A child of round {number} by {method} on {loop}, driver {driver},"
                codes.append(await _code_of(child, who))
        # Its streams are as before: what is written now is what the oldest reads get.
        assert [bytes(buf) for buf in busy.buffers] == [bytes(8)] * 4
        os.write(busy.files[0].fileno(), b"12345678" * 4)
        while any(buf != b"12345678" for buf in busy.buffers):
            await checkpoint()
    check_files(folder, bytes(busy.acknowledged))
    # What was asked to cancel may answer after the files are closed; their driver waits for it.
    await until(lambda: asyncuring.statistics().drivers == ())
    return codes


def main() -> None:
    method, loop, driver, place, rounds = sys.argv[1:]
    faulthandler.enable()
    # What a server has imported, its children need not; it has not used it.
    multiprocessing.set_forkserver_preload(["tests.stress.children"])
    folder = Path(place)
    make_files(folder)
    codes = run(loop, rounds_of, method, loop, driver, folder, int(rounds))
    print(json.dumps({"codes": codes, "left": sorted(path.name for path in folder.iterdir())}))  # noqa: T201
