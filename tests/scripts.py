"""Short programs, each in an interpreter of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from tests.simulated import A_PROGRAM

# A program that does not end is ended, and the test fails.
SECONDS_MAX = 30

_START = """
import asyncio, faulthandler, gc, os, sys, threading, warnings
import asyncuring
faulthandler.enable()
def native_threads():
    # The kernel's own workers for a ring, and threads just joined, may be listed for a moment.
    least = None
    for _ in range(100):
        names = []
        for task in os.listdir("/proc/self/task"):
            try:
                with open(f"/proc/self/task/{task}/comm") as comm:
                    names.append(comm.read())
            except (FileNotFoundError, ProcessLookupError):
                pass  # gone in between
        count = sum(not name.startswith("iou-") for name in names)
        least = count if least is None else min(least, count)
    return least
async def until_in_flight(count):
    while asyncuring.statistics().in_flight != count:
        await asyncio.sleep(0)
driver, path = sys.argv[1:]
"""


def run_script(
    source: str, driver: str, path: object, *options: str
) -> subprocess.CompletedProcess[str]:
    """Run a program that finds `driver` and `path` among its variables."""
    if driver == "simulated":
        pytest.skip(A_PROGRAM)
    program = _START + textwrap.dedent(source)
    return subprocess.run(
        (sys.executable, *(options or ("-W", "error")), "-c", program, driver, str(path)),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )


def output_of(source: str, driver: str, path: object) -> str:
    """Run a program that must end well and has nothing to complain of."""
    done = run_script(source, driver, path)
    assert (done.returncode, done.stderr) == (0, ""), f"{done.returncode}, {done.stderr}"
    return done.stdout
