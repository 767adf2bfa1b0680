"""What an engine is: a way to open the file of a trial, and nothing else.

The client loop, the offsets, the buffers and the clock are the same for all engines.
What it opens are the ops that it has, of those in `workload.Ops`.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncuring.benchmark.workload import READ_AT, WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from typing import Any

    from asyncuring.benchmark.recording import Record
    from asyncuring.benchmark.requirement import Package, Program
    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.workload import Ops

ASYNCIO_LOOPS = ("asyncio", "uvloop")


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A contender. Exactly one of ``open_async``, ``open_sync`` and ``run`` is given."""

    name: str
    summary: str
    """One line for people: what does the reading."""
    open_async: Callable[[Trial], AbstractAsyncContextManager[Ops]] | None = None
    """Open the trial's file for clients that are tasks of a loop."""
    open_sync: Callable[[Trial], AbstractContextManager[Ops]] | None = None
    """Open the trial's file for clients that are threads."""
    run: Callable[[Trial], Record] | None = None
    """Do the whole work without the clients of this package; return what
    `execution.execute` returns."""
    background: Callable[[], AbstractContextManager[object]] = nullcontext
    """What a client of the background is in while it works."""
    details: Callable[[], dict[str, Any]] | None = None
    """What the engine says about itself after the work, as JSON. Not required."""
    ops: tuple[str, ...] = (READ_AT,)
    """What it has, of the names in `workload.Ops`."""
    workloads: tuple[str, ...] | None = None
    """With ``run`` alone, which has no ops: what it does."""
    loops: tuple[str, ...] = (*ASYNCIO_LOOPS, "trio")
    """Where it runs; none if it needs no loop."""
    reads: bool = True
    """False if buffers stay as they are, so that there is nothing to verify."""
    direct: bool = True
    """Whether it can go past the page cache; what chooses where its bytes lie cannot."""
    requires: Package | Program | None = None
    """What has to be installed for it, beyond the loops."""
    notes: str = ""
    """What users should know of it: what it cannot do, and what it does badly."""
    by_default: bool = True
    """False if a sweep has it only where it is asked for by name."""

    def does(self, workload: str) -> bool:
        """Return whether it has what a workload needs."""
        if self.workloads is not None:
            return workload in self.workloads
        return set(WORKLOADS[workload].ops) <= set(self.ops)

    def missing(self) -> str | None:
        """Return what has to be installed before it can run, with the remedy."""
        return None if self.requires is None else self.requires.missing()
