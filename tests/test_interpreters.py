"""Other interpreters of the process are refused politely, and the main one does not notice."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.scripts import output_of

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName

# The kinds that each version of CPython has: with the main one's GIL, or with one of their own.
if sys.version_info >= (3, 13):
    MODULE, KINDS = "_interpreters", {"legacy": "'legacy'", "isolated": "'isolated'"}
else:
    MODULE = "_xxsubinterpreters"
    KINDS = {"legacy": "isolated=False", "isolated": "isolated=True"}

# The last line of what an interpreter does: what it said is all that comes out of it.
IMPORT = """
import os
try:
    import asyncuring
except ImportError as error:
    said = str(error)
else:
    said = "imported"
os.write({fd}, (said + chr(10)).encode())
"""

# An op of the main interpreter is in flight while others come and go.
OTHERS = """
import {module} as interpreters
# Where the tests' coverage is measured, each interpreter would start to measure itself, and cannot.
os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
loop = asyncio.new_event_loop()
file = loop.run_until_complete(asyncuring.open_file(path, "r+", driver=driver))
buf = bytearray(4)
read = loop.create_task(file.read_at(buf, 0))
loop.run_until_complete(until_in_flight(1))
said, say = os.pipe()
for _ in range({count}):
    other = interpreters.create({kind})
    failure = interpreters.run_string(other, {program!r}.format(fd=say))
    assert failure is None, failure
    interpreters.destroy(other)
os.close(say)
os.write(file.fileno(), b"data")
assert loop.run_until_complete(read) == 4 and buf == b"data"
loop.run_until_complete(file.aclose())
loop.close()
assert asyncuring.statistics().drivers == ()
with os.fdopen(said) as lines:
    print(*lines, sep="", end="")
"""


def refusals(kind: str, count: int, driver: DriverName, fifo: Path) -> list[str]:
    """What `count` interpreters, one after the other, were told when they imported the library."""
    pytest.importorskip(MODULE)
    source = OTHERS.format(module=MODULE, kind=KINDS[kind], count=count, program=IMPORT)
    return output_of(source, driver, fifo).splitlines()


@pytest.mark.parametrize("kind", KINDS)
def test_another_interpreter_is_refused(kind: str, driver: DriverName, fifo: Path) -> None:
    said = refusals(kind, 2, driver, fifo)
    assert len(said) == 2
    # Some versions refuse first, on behalf of cffi or ctypes, and in the same words.
    assert all("does not support loading in subinterpreters" in line for line in said)
