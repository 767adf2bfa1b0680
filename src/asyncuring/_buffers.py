"""Pools of aligned buffers, leased to tasks. Knows no event loop, no driver and no C."""

from __future__ import annotations

import mmap
import operator
import sys
import threading
import warnings
from contextlib import suppress
from functools import partial
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any
from weakref import ref

from ._errors import ClosedPoolError
from ._memory import Memory
from ._pool_statistics import PoolStatistics, registrations
from ._runtime import (
    announce_pool,
    for_each_driver,
    quick_loop_key,
    running_loop,
    running_loop_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from contextlib import AbstractAsyncContextManager

    from typing_extensions import Self

    from ._op import Waiter

__all__ = ["BufferPool"]


class BufferPool:
    """Equal buffers in one piece of memory, each leased to one task at a time.

    A buffer is a writable memoryview of `buffer_size` bytes, which every operation of a file takes,
    and numpy.frombuffer, too. What an earlier lease left in it is still there.

    Tasks that find no free buffer wait; the one that has waited longest gets the next. They
    belong to one event loop: that of the first lease, until it is closed. Give buffers back from
    wherever you like. After a fork, parent and child each have buffers of their own.
    """

    _closed = True  # until all is made, and if a call has no right arguments: see __del__

    def __init__(self, buffer_size: int, count: int, alignment: int | None = None) -> None:
        """Allocate the buffers.

        Args:
            buffer_size: in bytes.
            count: how many.
            alignment: the address of each buffer is a multiple of this, in bytes: a power of two.
                None: of a page, which is enough for `direct` wherever the kernel has it. Buffers
                are so far apart, too: small ones of a large alignment take more memory.

        Raises:
            OSError: ENOMEM; there is not so much memory.
            TypeError, ValueError: an argument cannot be used.
        """
        self.buffer_size, self.count = operator.index(buffer_size), operator.index(count)
        self.alignment = mmap.PAGESIZE if alignment is None else operator.index(alignment)
        if self.buffer_size < 1 or self.count < 1:
            message = f"buffer size and count must be 1 or more, not {buffer_size} and {count}"
            raise ValueError(message)
        if self.alignment < 1 or self.alignment & (self.alignment - 1):
            message = f"alignment must be a power of two, not {alignment}"
            raise ValueError(message)
        distance = -(-self.buffer_size // self.alignment) * self.alignment
        memory = Memory(distance, self.count, self.alignment)
        self._regions = memory.regions
        self._memory: Memory | None = memory
        self._slots: dict[int, Any] = {}  # of the free ones: see _lend
        # Where the free ones start. The last one in is the first one out: a processor's cache may
        # still have it.
        end = memory.start + self.count * distance
        self._free = list(range(memory.start, end, distance))[::-1]
        # By the view's identity, for a writable view has no hash: (view, slot, start).
        self._leased: dict[int, tuple[memoryview, Any, int]] = {}
        # Given back, but exported: (slot, start), likewise by identity.
        self._withheld: dict[int, tuple[ref[Any], int]] = {}
        self._unreleased: list[ref[memoryview]] = []  # views of some of those
        self._waiters: dict[Waiter, None] = {}  # in order
        self._handed: dict[Waiter, int] = {}  # what those have got that have not run yet
        self._key: Hashable | None = None
        self._loop: Any = None
        self._thread = 0
        self._closed = False
        announce_pool(self)

    # -- leasing

    def lease(self) -> AbstractAsyncContextManager[memoryview]:
        """Lease a buffer for an `async with` block: `acquire` before, `give_back` after it."""
        return _Lease(self)

    async def acquire(self) -> memoryview:
        """Take a buffer, to be given back by `give_back`; wait for one if none is free.

        If one is free no other task runs meanwhile. A task that is cancelled has none.

        Raises:
            ClosedPoolError: the pool is closed, or was while the task waited.
            RuntimeError: no loop is running here, or the pool belongs to another one.
        """
        view = self._take()
        if view is not None:
            return view
        waiter = self._loop.new_waiter()
        self._waiters[waiter] = None
        try:
            await waiter
        except BaseException:
            start = self._handed.pop(waiter, None)
            if start is None:
                self._waiters.pop(waiter, None)
            else:  # interrupted when it had a buffer, but had not run
                self._free.append(start)
                self._serve_from_here()
            raise
        start = self._handed.pop(waiter, None)
        if start is None or self._closed:
            raise self._closed_error()
        return self._lend(start)

    def give_back(self, view: memoryview) -> None:
        """Give back what `acquire` returned; `view` is released, and cannot be used any more.

        If an operation still has the buffer (its task was destroyed, or has not waited for it),
        or a slice of it or a numpy array is still there, the buffer is withheld: it is nobody's
        until that has ended. From any thread.

        Raises:
            ValueError: `view` is not one of the views that are leased now; nothing has happened.
        """
        leased = self._leased.pop(id(view), None)
        if leased is None:
            message = "this is no buffer of the pool, or it was given back before"
            raise ValueError(message)
        _, slot, start = leased
        del leased
        try:
            view.release()
        except BufferError:  # an operation exports it
            self._unreleased.append(ref(view))
            self._call_in_loop(self._look)
        if sys.getrefcount(slot) > _NOBODY_ELSE:
            watched = ref(slot, self._came_back)
            self._withheld[id(watched)] = (watched, start)
            return
        if self._memory is not None:
            self._slots[start] = slot
        self._free.append(start)
        if self._waiters:
            self._serve_from_here()

    def _take(self) -> memoryview | None:
        """Take a buffer if one is free, and nobody waits."""
        if quick_loop_key() is not self._key or self._key is None:
            self._join_loop()
        if self._closed:
            raise self._closed_error()
        if not self._free and self._unreleased:
            self._look()
        return self._lend(self._free.pop()) if self._free and not self._waiters else None

    def _lend(self, start: int) -> memoryview:
        assert self._memory is not None
        # Whatever is made of the view, a slice, an array or an operation, refers to the slot. That
        # is no memoryview: before CPython 3.12.7 and 3.13 the garbage collector crashed on one
        # that another exports (gh-77894), and a pool in a cycle with one of its views was enough.
        slot = self._slots.pop(start, None) or self._memory.part(start, self.buffer_size)
        view = PickleBuffer(slot).raw()
        self._leased[id(view)] = (view, slot, start)
        return view

    # -- those who wait

    def _join_loop(self) -> None:
        """Make the pool the running loop's, if it may be."""
        key = running_loop_key()
        if key is not None and key is self._key:
            return
        if self._call_in_loop(_nothing):
            message = "this pool belongs to another event loop, which is not closed"
            raise RuntimeError(message)
        loop = running_loop()
        if loop is None:
            message = "asyncuring needs a running asyncio or trio task; here is neither"
            raise RuntimeError(message)
        # Not a method of ours: the two would keep each other, and a forgotten pool would not go.
        loop.withdraw = partial(_withdraw, self._waiters)
        self._key, self._loop, self._thread = key, loop, threading.get_ident()
        self._waiters.clear()  # those of a loop that is closed
        self._look()

    def forget_loops(self) -> None:
        """Belong to no loop, for this is a forked child."""
        self._key = self._loop = None
        self._waiters.clear()

    def _call_in_loop(self, callback: Callable[[], object]) -> bool:
        """Call `callback` in the loop's thread, soon; False if there is no loop, or no more."""
        with suppress(RuntimeError):  # it is closed
            if self._loop is not None:
                self._loop.call_threadsafe(callback)
                return True
        return False

    def _serve_from_here(self) -> None:
        if self._thread == threading.get_ident():
            self._serve()
        else:
            self._call_in_loop(self._serve)

    def _serve(self) -> None:
        """Hand free buffers to those who wait; nothing at all, if the pool is closed."""
        if self._loop.is_closed():
            self._waiters.clear()
        while self._waiters and (self._free or self._closed):
            waiter = next(iter(self._waiters))
            del self._waiters[waiter]
            if not self._closed:
                self._handed[waiter] = self._free.pop()
            self._loop.resume_soon(waiter, 0)

    # -- those that are withheld

    def _came_back(self, watched: ref[Any]) -> None:
        """Nobody has anything of that slot any more. From any thread, at any time."""
        _, start = self._withheld.pop(id(watched))
        self._free.append(start)
        if self._waiters:
            self._call_in_loop(self._serve)

    def _look(self) -> None:
        """Release the views that could not be when they were given back.

        What exports a view itself (a slice does not) cannot be watched. It is an operation, so each
        tick in which some are done is followed by another look.
        """
        watched, self._unreleased = self._unreleased, []
        for view_ref in watched:
            view = view_ref()
            try:
                if view is not None:
                    view.release()
            except BufferError:
                self._unreleased.append(view_ref)
            del view
        if self._unreleased:
            for proactor in for_each_driver(lambda leased: leased.proactors.get(self._key)):
                if proactor is not None:
                    proactor.afterwards.add(self._look_soon)

    def _look_soon(self) -> None:
        self._call_in_loop(self._look)

    # -- its end, and what it has

    def statistics(self) -> PoolStatistics:
        """Count what is where. From any thread, and then perhaps a moment old."""
        return PoolStatistics(
            buffer_size=self.buffer_size,
            count=self.count,
            leased=len(self._leased) + len(self._handed),
            withheld=len(self._withheld),
            waiting=len(self._waiters),
            registrations=registrations(self._regions),
        )

    @property
    def closed(self) -> bool:
        """Whether the pool is closed."""
        return self._closed

    def close(self) -> None:
        """Lend no more. Tasks that wait for a buffer get a `ClosedPoolError`.

        Buffers that are leased, or withheld, remain what they are until they are given back; the
        memory goes after the last one. Closing a closed pool does nothing.
        """
        self._closed = True
        self._memory = None
        self._slots.clear()
        self._free.clear()
        if self._waiters:
            self._serve_from_here()

    def __enter__(self) -> Self:
        """Nothing: the pool is open."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the pool."""
        self.close()

    def __del__(self) -> None:
        """Complain of a pool that was forgotten. What still exports its memory keeps it."""
        if not self._closed:
            text = f"unclosed pool of {self.count} buffers of {self.buffer_size} bytes"
            warnings.warn(text, ResourceWarning, source=self, stacklevel=1)

    def __repr__(self) -> str:
        """How many buffers of which size."""
        end = ", closed" if self._closed else ""
        return f"<asyncuring.BufferPool: {self.count} buffers of {self.buffer_size} bytes{end}>"

    def _closed_error(self) -> ClosedPoolError:
        return ClosedPoolError(f"the pool of {self.count} buffers is closed")


class _Lease:
    """What `BufferPool.lease` returns."""

    __slots__ = ("_pool", "_view")

    def __init__(self, pool: BufferPool) -> None:
        self._pool = pool

    async def __aenter__(self) -> memoryview:
        # As `acquire`, whose coroutine would cost half as much as all else.
        view = self._view = self._pool._take() or await self._pool.acquire()  # noqa: SLF001  ours
        return view

    async def __aexit__(self, *exc_info: object) -> None:
        self._pool.give_back(self._view)


def _references_of_one_name() -> int:
    slot = object()
    return sys.getrefcount(slot)


# What `give_back` counts if its own name is all that refers to a slot. It depends on how the
# version of CPython passes arguments. Were it too low, slots would only be made anew more often.
_NOBODY_ELSE = _references_of_one_name()


def _withdraw(waiters: dict[Waiter, None], waiter: Waiter) -> None:
    """Take a task that is cancelled out of the queue, at once."""
    waiters.pop(waiter, None)


def _nothing() -> None:
    """Ask a loop whether it is closed."""
