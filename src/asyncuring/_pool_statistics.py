"""What a pool of buffers tells of itself, and what the rings have made of its memory."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ._runtime import for_each_driver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._runtime import LeasedDriver

__all__ = ["PoolRegistration", "PoolStatistics", "registrations"]


@dataclass(frozen=True)
class PoolRegistration:
    """What a running driver's rings have registered of a pool's memory.

    Operations on registered memory cost the kernel less with `direct` (io_uring_enter(2),
    IORING_OP_READ_FIXED); nothing else is different.

    Attributes:
        driver: its name.
        buffers: how many buffers are registered. With "uring-local": with the ring of the loop that
            tried last.
        reason: why not all are; empty if they are.
    """

    driver: str
    buffers: int
    reason: str


@dataclass(frozen=True)
class PoolStatistics:
    """What one `BufferPool` has lent, and to how many.

    Attributes:
        buffer_size: bytes in each buffer.
        count: how many buffers there are.
        leased: of them, how many tasks have.
        withheld: how many were given back and are still in use: see `BufferPool.give_back`.
        waiting: tasks that wait for one.
        registrations: one entry for each driver that runs.
    """

    buffer_size: int
    count: int
    leased: int
    withheld: int
    waiting: int
    registrations: tuple[PoolRegistration, ...]


_NO_ROOM = -errno.ENOSPC

# Why a region of memory is not registered, by what `Driver.region` says.
_REASONS = {
    0: "no operation has used it there",
    _NO_ROOM: "the process has too many pools",
    -errno.ENOMEM: "the limit on locked memory (RLIMIT_MEMLOCK, `ulimit -l`) does not admit it",
    -errno.EINVAL: "this takes Linux 5.19",
    -errno.EOPNOTSUPP: "native threads have no use for that",
}


def registrations(regions: Sequence[tuple[int, int]]) -> tuple[PoolRegistration, ...]:
    """Ask each running driver what became of `regions` (see `Memory`)."""
    return tuple(for_each_driver(partial(_registration, regions)))


def _registration(regions: Sequence[tuple[int, int]], leased: LeasedDriver) -> PoolRegistration:
    registered, reason = 0, "" if regions else "a buffer is larger than 1 GiB"
    for number, buffers in regions:
        state = leased.driver.region(number) if number else _NO_ROOM
        if state == 1:
            registered += buffers
        else:
            reason = _REASONS.get(state) or os.strerror(-state)
    return PoolRegistration(leased.name, registered, reason)
