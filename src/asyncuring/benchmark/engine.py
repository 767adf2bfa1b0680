"""What an engine is: a way to open the file of a trial, and nothing else.

The client loop, the offsets, the buffers and the clock are the same for all engines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from typing import Any

    from asyncuring.benchmark.client import AsyncReadAt, SyncReadAt
    from asyncuring.benchmark.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A contender. Exactly one of ``open_async`` and ``open_sync`` is given."""

    name: str
    summary: str
    """One line for people: what does the reading."""
    open_async: Callable[[Trial], AbstractAsyncContextManager[AsyncReadAt]] | None = None
    """Open the trial's file for clients that are tasks of a loop."""
    open_sync: Callable[[Trial], AbstractContextManager[SyncReadAt]] | None = None
    """Open the trial's file for clients that are threads."""
    details: Callable[[], dict[str, Any]] | None = None
    """What the engine says about itself after the work, as JSON. Not required."""
    reads: bool = True
    """False if buffers stay as they are, so that there is nothing to verify."""
