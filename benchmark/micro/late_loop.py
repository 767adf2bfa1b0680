"""What an event loop in Python adds to waiting for a device: `python late_loop.py [us]`.

A timer fires so many microseconds (80: as a read with O_DIRECT) after it was set, and wakes whoever
waits for it, who sets it again: a bare epoll, and a task on asyncio and on uvloop. Printed: what a
cycle took beyond the timer, in slices of each in turns, medians with their quartiles. The loop has
nothing else to do, so this is with what the processor forgot while it was idle.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import select
import sys
import time
from statistics import quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CYCLES, SLICES = 1500, 11
CLOCK_MONOTONIC = 1

_libc = ctypes.PyDLL(None, use_errno=True)


def set_timer(timer: int, nanoseconds: int) -> Callable[[], int]:
    """Return what lets the timer fire once, so long after the call."""
    setting = (ctypes.c_long * 4)(0, 0, 0, nanoseconds)
    settime = _libc.timerfd_settime
    return lambda: int(settime(timer, 0, setting, None))


def bare_cycles(timer: int, start: Callable[[], int]) -> None:
    """Wait without an event loop."""
    epoll = select.epoll()
    epoll.register(timer, select.EPOLLIN)
    for _ in range(CYCLES):
        start()
        epoll.poll()
        os.read(timer, 8)
    epoll.close()


async def loop_cycles(timer: int, start: Callable[[], int]) -> None:
    """Wait as tasks do for a file descriptor."""
    loop = asyncio.get_running_loop()
    fired = loop.create_future()

    def ready() -> None:
        os.read(timer, 8)
        fired.set_result(None)

    loop.add_reader(timer, ready)
    for _ in range(CYCLES):
        fired = loop.create_future()
        start()
        await fired
    loop.remove_reader(timer)


def main(arguments: list[str]) -> None:
    """Measure all three."""
    import uvloop  # noqa: PLC0415  optional

    microseconds = int(arguments[0]) if arguments else 80
    timer = _libc.timerfd_create(CLOCK_MONOTONIC, os.O_NONBLOCK)
    start = set_timer(timer, microseconds * 1000)
    ways: dict[str, Callable[[], None]] = {
        "epoll": lambda: bare_cycles(timer, start),
        "asyncio": lambda: asyncio.run(loop_cycles(timer, start)),
        "uvloop": lambda: uvloop.run(loop_cycles(timer, start)),
    }
    beyond: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(SLICES):
        for name, run in ways.items():
            started = time.perf_counter()
            run()
            spent = time.perf_counter() - started
            beyond[name].append(spent / CYCLES * 1e6 - microseconds)
    for name, cycles in beyond.items():
        low, middle, high = quantiles(cycles, n=4)
        print(f"{name:8} {middle:.1f} us ({low:.1f} to {high:.1f})")


if __name__ == "__main__":
    main(sys.argv[1:])
