"""What an open file costs while nobody reads: CPU from 100 ms after the last read on.

Usage: python benchmark/idle.py LOOP. Prints the percentage of one core, as JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from importlib import import_module
from typing import Any

import asyncuring
from asyncuring.benchmark.loops import LOOPS

READS = 1000
QUIET_S = 0.1
MEASURED_S = 1.0


def cpu_s() -> float:
    """Return the CPU time of this process, all threads, so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main(loop: str) -> None:
    """Read, rest, then measure."""
    sleep: Any = import_module("trio" if loop == "trio" else "asyncio").sleep
    idle_cpu_percent = 0.0

    async def read_and_rest() -> None:
        nonlocal idle_cpu_percent
        async with await asyncuring.open_file(__file__, cached_reads="ring") as uring_file:
            buf = bytearray(512)
            for _ in range(READS):
                await uring_file.read_at(buf, 0)
            await sleep(QUIET_S)
            before, started = cpu_s(), time.perf_counter()
            await sleep(MEASURED_S)
            idle_cpu_percent = (cpu_s() - before) / (time.perf_counter() - started) * 100

    LOOPS[loop].run(read_and_rest)
    print(json.dumps({"idle_cpu_percent": idle_cpu_percent}))


if __name__ == "__main__":
    main(sys.argv[1])
