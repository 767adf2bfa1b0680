"""A driver that runs between calls. Knows no event loop, no zarr and no fsspec.

A driver stops with the last file: a store whose files are open for moments would start one for each
read that comes alone.
"""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING

from asyncuring._runtime import lease

if TYPE_CHECKING:
    from asyncuring._runtime import DriverName, LeasedDriver

__all__ = ["KeptDriver"]


class KeptDriver:
    """Keeps a driver running from its first use on, until it is released or nobody has it.

    name: as for `open_file`.

    It belongs to no loop and no thread. A child of the process that it is used in keeps its own.
    """

    def __init__(self, name: DriverName | None) -> None:
        """Start nothing yet."""
        self.name = name
        self._leases: dict[int, LeasedDriver] = {}  # one at most, by the process that took it
        # Not at exit: then the runtime sees to what is left.
        weakref.finalize(self, _release_later, self._leases).atexit = False

    def keep(self) -> DriverName | None:
        """Start the driver if need be; returns its name, for the call that is about to be made.

        Raises:
            DriverUnavailableError: the driver that was asked for by name cannot run here.
            ValueError: there is no such driver.
        """
        process = os.getpid()
        if process not in self._leases:
            leased = lease(self.name)
            # No lock: a process may be forked while another thread has it.
            if self._leases.setdefault(process, leased) is not leased:
                leased.release()
        return self.name

    def release(self) -> None:
        """Let the driver stop, when nobody else needs it. The next use starts it again."""
        leased = self._leases.pop(os.getpid(), None)
        if leased is not None:
            leased.release()


def _release_later(leases: dict[int, LeasedDriver]) -> None:
    for leased in leases.values():
        leased.release_later()
