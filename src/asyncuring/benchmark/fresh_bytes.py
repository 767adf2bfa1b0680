"""For packages that return new bytes and cannot read into a buffer of the caller's.

Their clients get away without the copy into the own buffer, unless somebody looks at it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncuring.benchmark.workload import WORKLOADS

if TYPE_CHECKING:
    import mmap
    from collections.abc import Awaitable, Callable

    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.workload import Op

    ReadBytes = Callable[[int], Awaitable[bytes]]
    """Return the block at a byte offset."""


class NoDirectError(Exception):
    """The package cannot read with O_DIRECT: it chooses where its bytes lie."""


def counting(read: ReadBytes, trial: Trial) -> Op:
    """Return ``read`` as a client calls it."""
    assert not WORKLOADS[trial.workload].writes
    if trial.direct:
        raise NoDirectError("this package has no buffers that are aligned for O_DIRECT")

    async def read_at(_buf: mmap.mmap, off: int) -> int:
        return len(await read(off))

    async def read_into(buf: mmap.mmap, off: int) -> int:
        data = await read(off)
        buf[: len(data)] = data
        return len(data)

    return read_into if trial.verify else read_at
