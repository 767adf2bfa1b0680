"""What a program does with each driver on a hostile system, in a process of its own.

`attempts_after` prepares the process (a seccomp filter, a limit), then asks for each driver by name
and for none, has it read, write, sync and look at a file, and tells what came of it. Each has
SECONDS_MAX; past them the process prints where its threads are, and ends.
"""

from __future__ import annotations

import ast
import errno
import faulthandler
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncuring
from asyncuring import DriverUnavailableError, open_file

if TYPE_CHECKING:
    from asyncuring import UringFile
    from asyncuring._runtime import DriverName

__all__ = [
    "AS_NOBODY",
    "DRIVERS",
    "LOOPS_TRIED",
    "SECONDS_MAX",
    "Outcome",
    "attempt",
    "attempt_all",
    "attempts_after",
    "check_refused",
    "check_served",
]

SECONDS_MAX = 5
DRIVERS: list[DriverName] = ["uring", "uring-local", "threads"]
LOOPS_TRIED = ["asyncio", "trio"]

# Somebody else than root, whom the kernel limits less.
AS_NOBODY = """
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
"""

ROOT = Path(__file__).parents[2]
# Each case in a child of its own, for a filter cannot be taken off again.
PROGRAM = """
import errno, os, resource, sys
sys.path.insert(0, {root!r})
import asyncuring, trio
from tests.refusal import refuse
from tests.running import LOOPS, checkpoint
from tests.stress.attempts import *
for preparation in {preparations!r}:
    for loop in LOOPS_TRIED:
        main = attempt_all
        if child := os.fork():
            assert os.waitpid(child, 0)[1] == 0, (preparation, loop)
            continue
        exec(preparation)
        print(LOOPS[loop](main), flush=True)
        os._exit(0)
"""

Outcome = dict[str, Any]
Outcomes = dict[str | None, Outcome]

FOLDER = Path(tempfile.gettempdir())  # found while there are descriptors


async def work(uring_file: UringFile) -> None:
    """Use a file in as many ways as have a road of their own."""
    page, back = b"page" * 1024, bytearray(4096)
    await uring_file.write_all_at(page, 0)
    await uring_file.read_exactly_at(back, 0)
    assert back == page
    async with uring_file.chain() as chain:
        chain.write_all_at(page, 4096)
        chain.fdatasync()
        chain.read_exactly_at(back, 4096)
    assert await uring_file.readv_at([memoryview(back)[:1], memoryview(back)[1:]], 4096) == 4096
    await uring_file.allocate(0, 8192)
    await uring_file.lock()
    assert (await uring_file.stat()).size == 8192


async def attempt(name: DriverName | None) -> Outcome:
    """Work with a driver; which ran and why, or the error."""
    faulthandler.dump_traceback_later(SECONDS_MAX, exit=True)
    path = FOLDER / f"asyncuring-attempt-{os.getpid()}"
    try:
        async with await open_file(path, "w+", driver=name) as uring_file:
            (running,) = asyncuring.statistics().drivers
            await work(uring_file)
            return {"driver": running.driver, "reason": running.reason}
    except DriverUnavailableError as error:
        number = errno.errorcode[error.errno or 0]
        return {"error": number, "cause": error.cause, "remedy": error.remedy, "text": str(error)}
    except OSError as error:
        return {"error": errno.errorcode[error.errno or 0]}
    finally:
        assert asyncuring.statistics().drivers == ()
        with suppress(FileNotFoundError):
            path.unlink()


async def attempt_all() -> Outcomes:
    return {name: await attempt(name) for name in (*DRIVERS, None)}


def attempts_after(*preparations: str) -> list[Outcomes]:
    """What comes of each driver, by name, and of none: for each preparation, on each loop."""
    program = PROGRAM.format(root=str(ROOT), preparations=preparations)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    outcomes = [ast.literal_eval(line) for line in done.stdout.splitlines()]
    assert len(outcomes) == len(preparations) * len(LOOPS_TRIED)
    return outcomes


def check_refused(outcomes: Outcomes, number: str, cause: str) -> None:
    """Both rings are refused, with cause and remedy; nobody else is, and a fallback says why."""
    for name in ("uring", "uring-local"):
        assert outcomes[name]["error"] == number
        assert cause in outcomes[name]["cause"]
        assert "driver='threads'" in outcomes[name]["remedy"]
        assert outcomes[name]["cause"] in outcomes[name]["text"]
        assert outcomes[name]["remedy"] in outcomes[name]["text"]
    reason = f"io_uring does not work here: {outcomes['uring']['cause']}"
    assert outcomes[None] == {"driver": "threads", "reason": reason}
    assert outcomes["threads"]["driver"] == "threads"


def check_served(outcomes: Outcomes) -> None:
    """All work, and by default it is io_uring."""
    assert [outcomes[name].get("driver") for name in DRIVERS] == DRIVERS, outcomes
    assert outcomes[None] == {"driver": "uring", "reason": "io_uring works here"}
