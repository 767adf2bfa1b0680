"""What an engine is: a way to open the file of a trial, and nothing else.

The client loop, the offsets, the buffers and the clock are the same for all engines.
What an engine opens is the one function that the trial's workload asks for: see `workload.py`.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from typing import Any

    from asyncuring.benchmark.recording import Record
    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.workload import AsyncOp, SyncOp

ASYNCIO_LOOPS = ("asyncio", "uvloop")


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A contender. Exactly one of ``open_async``, ``open_sync`` and ``run`` is given."""

    name: str
    summary: str
    """One line for people: what does the reading."""
    open_async: Callable[[Trial], AbstractAsyncContextManager[AsyncOp]] | None = None
    """Open the trial's file for clients that are tasks of a loop."""
    open_sync: Callable[[Trial], AbstractContextManager[SyncOp]] | None = None
    """Open the trial's file for clients that are threads."""
    run: Callable[[Trial], Record] | None = None
    """Do the whole work outside of this process; return what `execution.execute` returns."""
    background: Callable[[], AbstractContextManager[object]] = nullcontext
    """What a client of the background is in while it works."""
    details: Callable[[], dict[str, Any]] | None = None
    """What the engine says about itself after the work, as JSON. Not required."""
    workloads: tuple[str, ...] = ("read",)
    loops: tuple[str, ...] = (*ASYNCIO_LOOPS, "trio")
    """Where it runs, if its clients are tasks."""
    reads: bool = True
    """False if buffers stay as they are, so that there is nothing to verify."""
    by_default: bool = True
    """False if a sweep has it only where it is asked for by name."""
