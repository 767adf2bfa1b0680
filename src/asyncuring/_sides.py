"""The side threads that one file's ops may go to. Knows no event loop and no C."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from ._op import Opcode
from ._routes import OWN_ALWAYS, Route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._proactor import Proactor
    from ._runtime import LeasedDriver

__all__ = ["FileSides"]

_WRITE = int(Opcode.WRITE)

# The writes of one inode exclude each other in the kernel, so all of them go to the same thread;
# those of different inodes to one of so many.
_WRITERS = 8


class FileSides:
    """What of an open file's ops may go beside the driver's own way, and where to.

    Attributes:
        write_opcodes: by the way of a write (`_routes`); 0 for a thread that may not run yet.
    """

    __slots__ = ("_device", "_leased", "_writer", "write_opcodes")

    def __init__(self, fd: int, direct: bool, leased: LeasedDriver) -> None:
        """Look at the file: it must be a regular one, and use the page cache."""
        self._leased = leased
        self._writer = 0
        self.write_opcodes = (_WRITE, 0, _WRITE, 0)
        if direct or not leased.driver.side_threads:
            return
        status = os.fstat(fd)  # just opened: no network file system asks its server again
        if stat.S_ISREG(status.st_mode):
            self._device = status.st_dev
            self._writer = 1 + hash((status.st_dev, status.st_ino)) % _WRITERS

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

    def timed_write(self, proactor: Proactor, way: int, seconds: float) -> None:
        """Take note of how long a write took whose duration was wanted."""
        self._route("write", proactor).time(way, seconds)
