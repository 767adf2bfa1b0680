"""Short programs, each in an interpreter of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

# A program that does not end is ended, and the test fails.
SECONDS_MAX = 30

_START = """
import asyncio, faulthandler, gc, os, sys, threading, warnings
import asyncuring
faulthandler.enable()
def native_threads():
    return len(os.listdir("/proc/self/task"))
async def until_in_flight(count):
    while asyncuring.statistics().in_flight != count:
        await asyncio.sleep(0)
driver, path = sys.argv[1:]
"""


def run_script(
    source: str, driver: str, path: object, *options: str
) -> subprocess.CompletedProcess[str]:
    """Run a program that finds `driver` and `path` among its variables."""
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
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
