"""Group commit over an engine's write and sync, so that this library's own has something to beat.

Whoever appends while a commit is under way joins the group that waits. The first of a group
leads it: it waits for the commit before, closes the group, and commits it for all of them.
The async class and its sync twin must stay equal but for ``await`` and the lock.
"""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from asyncuring.benchmark.loops import LOOPS

if TYPE_CHECKING:
    import mmap
    from collections.abc import Awaitable, Callable

    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.window import Event

    Buffers = list[mmap.mmap]
    Commit = Callable[[Buffers, int], Awaitable[int]]
    SyncCommit = Callable[[Buffers, int], int]
    """Write buffers behind each other at an offset, and sync; return the count of bytes."""

RECORDS_MAX = 1024
"""In one group: as many buffers as one system call takes (IOV_MAX)."""


Done = TypeVar("Done", "Event", threading.Event)


class _Group(Generic[Done]):
    """What is committed at once."""

    def __init__(self, done: Done, first: mmap.mmap) -> None:
        self.done: Done = done
        self.buffers = [first]
        self.is_open = True
        # Until the commit succeeds: a leader that is cancelled takes its followers along.
        self.error: OSError | None = OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))

    @property
    def takes_more(self) -> bool:
        """Whether one more may join it."""
        return self.is_open and len(self.buffers) < RECORDS_MAX

    def committed(self, count: int) -> int:
        """Say how many bytes were written; return how many the log grew."""
        expected = sum(map(len, self.buffers))
        if count != expected:
            self.error = OSError(errno.EIO, f"a group came to {count} of {expected} bytes")
            return 0
        self.error = None
        return count

    def outcome(self, buf: mmap.mmap) -> int:
        """Return what an append of the group comes to."""
        if self.error is not None:
            raise self.error
        return len(buf)


class GroupedLog:
    """A log for the tasks of one loop."""

    def __init__(self, trial: Trial, commit: Commit) -> None:
        """Begin a log at the start of the file."""
        self._commit = commit
        self._new_event = LOOPS[trial.loop].new_event
        self._end = 0
        self._last: _Group[Event] | None = None

    async def append(self, buf: mmap.mmap, _off: int) -> int:
        """Append one record, and wait until it is durable."""
        group = before = self._last
        if group is not None and group.takes_more:
            group.buffers.append(buf)
            await group.done.wait()
            return group.outcome(buf)
        group = self._last = _Group(self._new_event(), buf)
        try:
            if before is not None:
                await before.done.wait()
            group.is_open = False
            self._end += group.committed(await self._commit(group.buffers, self._end))
        except OSError as error:
            group.error = error
        finally:
            group.done.set()
        return group.outcome(buf)


class SyncGroupedLog:
    """A log for threads."""

    def __init__(self, commit: SyncCommit) -> None:
        """Begin a log at the start of the file."""
        self._commit = commit
        self._end = 0
        self._last: _Group[threading.Event] | None = None
        self._lock = threading.Lock()

    def append(self, buf: mmap.mmap, _off: int) -> int:
        """Append one record, and wait until it is durable."""
        with self._lock:
            group = before = self._last
            follows = group is not None and group.takes_more
            if group is not None and follows:
                group.buffers.append(buf)
            else:
                group = self._last = _Group(threading.Event(), buf)
        if follows:
            group.done.wait()
            return group.outcome(buf)
        try:
            if before is not None:
                before.done.wait()
            with self._lock:
                group.is_open = False
            self._end += group.committed(self._commit(group.buffers, self._end))
        except OSError as error:
            group.error = error
        finally:
            group.done.set()
        return group.outcome(buf)
