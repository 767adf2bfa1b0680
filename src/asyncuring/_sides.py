"""The side threads that one file's ops may go to. Knows no event loop and no C."""

from __future__ import annotations

import os
from itertools import cycle, repeat
from typing import TYPE_CHECKING

from ._op import Opcode
from ._routes import OWN_ALWAYS, Route
from ._runtime import note_opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._proactor import Proactor
    from ._runtime import LeasedDriver

__all__ = ["LARGE", "FileSides"]

_READ, _WRITE = int(Opcode.READ), int(Opcode.WRITE)

# The writes of one inode exclude each other in the kernel, so all of them go to the same thread;
# those of different inodes to one of so many.
_WRITERS = 8

# Copying a large block takes longer than the hand-over to a thread. One core copies for the ring
# thread, so reads of such blocks take turns on as many threads as there are cores, up to a few.
# Measured: bar j of benchmark/results/bars.csv.
LARGE = 256 * 1024
_READERS = range(_WRITERS + 1, _WRITERS + 1 + min(os.cpu_count() or 1, 4))


class FileSides:
    """What of an open file's ops may go beside the driver's own way, and where to.

    Attributes:
        write_opcodes: by the way of a write (`_routes`); 0 for a thread that may not run yet.
    """

    __slots__ = ("_device", "_leased", "_read_opcodes", "_writer", "write_opcodes")

    def __init__(self, fd: int, direct: bool, leased: LeasedDriver) -> None:
        """Look at the file: it must be a regular one, use the page cache, and not be FUSE's.

        A thread beside would wait for FUSE's program, and with it all other files' writes there.
        """
        self._leased = leased
        self._writer = 0
        self._read_opcodes: Iterator[int] = repeat(_READ)
        self.write_opcodes = (_WRITE, 0, _WRITE, 0)
        found = note_opened(fd, leased.driver)
        if found is not None and not direct and leased.driver.side_threads:
            self._device = found.device
            self._writer = 1 + hash((found.device, found.inode)) % _WRITERS
            self._read_opcodes = iter(())

    def write_ways(self, proactor: Proactor) -> Iterator[int]:
        """Return what gives the way of each write that `proactor` is asked for."""
        return self._route("write", proactor).ways if self._writer else OWN_ALWAYS

    def _route(self, kind: str, proactor: Proactor) -> Route:
        key = kind, self._device
        route = proactor.routes.get(key)
        if route is None:
            route = proactor.routes[key] = Route(*key, proactor.progress)
        return route

    def start_writer(self, proactor: Proactor) -> int:
        """Start the thread for the file's writes; returns their opcode.

        Where it cannot be started the driver's own way is left, and the statistics tell.
        """
        try:
            beside = _WRITE | self._leased.driver.start_side_thread(self._writer)
        except OSError as error:
            self._route("write", proactor).refuse(f"no side thread: {error.strerror}")
            return _WRITE
        self.write_opcodes = (_WRITE, beside, _WRITE, beside)
        return beside

    def large_read_opcode(self, proactor: Proactor) -> int:
        """Return the opcode for a read of `LARGE` or more: of the thread whose turn it is.

        That one copies what the page cache has, and leaves to the driver what it lacks.
        """
        return next(self._read_opcodes, 0) or self._start_readers(proactor)

    def _start_readers(self, proactor: Proactor) -> int:
        start = self._leased.driver.start_side_thread
        try:
            opcodes = [_READ | start(number) for number in _READERS]
        except OSError as error:
            self._route("large read", proactor).refuse(f"no side thread: {error.strerror}")
            opcodes = [_READ]
        self._read_opcodes = cycle(opcodes)
        return next(self._read_opcodes)

    def timed_write(self, proactor: Proactor, way: int, seconds: float) -> None:
        """Take note of how long a write took whose duration was wanted."""
        self._route("write", proactor).time(way, seconds)
