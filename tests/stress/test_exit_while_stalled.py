"""The interpreter ends while a disk answers nothing: the library keeps it for a bounded time.

The process is gone when the disk has answered; no kernel ends one with a request that FUSE's
program has got, not even by SIGKILL.
"""

from __future__ import annotations

import select
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from asyncuring._runtime import DRAIN_SECONDS
from tests.stress.attempts import DRIVERS
from tests.stress.faulty import faulty_system

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.usefixtures("uring"), pytest.mark.timeout(60)]

READS = 3
# Beyond what the library waits: an interpreter's start and end, on a busy machine.
SECONDS_MORE = 10

# Whoever leaves a loop in the usual way waits there, for as long as it takes: so it is closed by
# force. What was registered first is called last, after the library's own waiting.
PROGRAM = f"""
import asyncio, atexit, os, sys
atexit.register(os.write, 1, b"let go\\n")
import asyncuring

path, driver = sys.argv[1:]
loop = asyncio.new_event_loop()

async def main():
    uring_file = await asyncuring.open_file(path, driver=driver, cached_reads="ring")
    reads = [uring_file.read_at(bytearray(4096), 4096 * n) for n in range({READS})]
    tasks = [loop.create_task(read) for read in reads]
    while asyncuring.statistics().in_flight < {READS}:
        await asyncio.sleep(0)
    return uring_file, tasks

kept = loop.run_until_complete(main())
sys.stdin.readline()  # until all of them stall
loop.close()
"""


def test_the_interpreter_ends(tmp_path: Path, note_attack: Callable[..., None]) -> None:
    with ExitStack() as all_running:
        disk = all_running.enter_context(faulty_system(tmp_path / "faulty", sick=2, healthy=3))
        disk.tell("stall read sick")
        programs = []
        for driver in DRIVERS:
            program = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(disk.folder / "sick"), driver],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            programs.append(all_running.enter_context(program))
            all_running.callback(disk.tell, "release")
        deadline = time.monotonic() + SECONDS_MORE
        while disk.counts()[0] < READS * len(DRIVERS):
            assert time.monotonic() < deadline, disk.counts()
        for program in programs:
            assert program.stdin is not None
            program.stdin.close()
        deadline = time.monotonic() + DRAIN_SECONDS + SECONDS_MORE
        for program in programs:
            assert program.stdout is not None
            assert select.select([program.stdout], [], [], deadline - time.monotonic())[0]
            assert program.stdout.readline() == b"let go\n"
        assert disk.counts()[0] == READS * len(DRIVERS)
        disk.tell("release")
        assert [program.wait(SECONDS_MORE) for program in programs] == [0] * len(DRIVERS)
    for driver in DRIVERS:
        note_attack(
            "bad disk",
            "FUSE: the interpreter ends while reads stall, its loop closed by force",
            f"{driver}, asyncio",
            f"{READS} reads",
            f"the library let go after {DRAIN_SECONDS:.0f} s; the process ended with the stall",
        )
