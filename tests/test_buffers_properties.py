"""A pool under random leases, waits, cancellations and returns: whatever comes, in any order."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from asyncuring import BufferPool
from tests.running import LOOPS, CancelledTaskError, Task, checkpoint, until

if TYPE_CHECKING:
    from tests.running import Run

SIZE = 8

STEPS = st.lists(
    st.one_of(
        st.just(("acquire", 0)),
        st.tuples(st.sampled_from(["give back", "cancel", "keep a slice"]), st.integers(0, 100)),
        st.just(("drop the slices", 0)),
        st.just(("let run", 0)),
    ),
    max_size=60,
)


class Clients:
    """Tasks that want a buffer, and those that have got one."""

    def __init__(self, pool: BufferPool) -> None:
        self.pool = pool
        self.tasks: list[Task[None]] = []  # by number: of each that ever asked
        self.asked: list[int] = []  # numbers, in the order in which they asked
        self.got: set[int] = set()
        self.cancelled: set[int] = set()
        self.views: dict[int, memoryview] = {}
        self.slices: list[memoryview] = []

    async def _acquire(self, number: int) -> None:
        self.asked.append(number)
        view = await self.pool.acquire()
        view[:] = number.to_bytes(SIZE, "big")
        self.views[number] = view
        self.got.add(number)

    def acquire(self, _which: int) -> None:
        self.tasks.append(Task.start(self._acquire, len(self.tasks)))

    def cancel(self, which: int) -> None:
        number = which % (len(self.tasks) or 1)
        if number < len(self.tasks) and number not in self.views:
            self.tasks[number].cancel()
            self.cancelled.add(number)

    def give_back(self, which: int) -> None:
        for number in sorted(self.views)[which % (len(self.views) or 1) :][:1]:
            self.pool.give_back(self.views.pop(number))

    def keep_a_slice(self, which: int) -> None:
        for number in sorted(self.views)[which % (len(self.views) or 1) :][:1]:
            self.slices.append(self.views[number][2:5])

    def drop_the_slices(self, _which: int) -> None:
        self.slices.clear()

    def check(self) -> None:
        for number, view in self.views.items():
            assert view == number.to_bytes(SIZE, "big"), "a buffer has two holders"
        assert len(self.views) <= self.pool.count
        if self.got:
            last = max(map(self.asked.index, self.got))
            overtaken = set(self.asked[:last]) - {*self.got} - self.cancelled
            # trio runs tasks in any order: those have a buffer as well, but have not run.
            handed = self.pool.statistics().leased - len(self.views)
            assert len(overtaken) <= handed, "somebody overtook another"

    async def end(self) -> None:
        self.slices.clear()
        while not all(task.done for task in self.tasks):
            for number in list(self.views):
                self.pool.give_back(self.views.pop(number))
            await checkpoint()
            self.check()
        for number, task in enumerate(self.tasks):
            with suppress(*[CancelledTaskError] * (number in self.cancelled)):
                await task.join()
        for view in self.views.values():
            self.pool.give_back(view)
        self.views.clear()


async def take(count: int, steps: list[tuple[str, int]]) -> None:
    with BufferPool(SIZE, count) as pool:
        clients = Clients(pool)
        for name, which in steps:
            if name == "let run":
                await checkpoint()
            else:
                getattr(clients, name.replace(" ", "_"))(which)
            clients.check()
        await clients.end()
        await until(lambda: pool.statistics().withheld == 0)
        # All are there again.
        views = [await pool.acquire() for _ in range(count)]
        for view in views:
            pool.give_back(view)


@given(st.integers(1, 4), STEPS)
def test_on_asyncio(count: int, steps: list[tuple[str, int]]) -> None:
    asyncio.run(take(count, steps))


@given(st.integers(1, 4), STEPS)
def test_on_trio(count: int, steps: list[tuple[str, int]]) -> None:
    run: Run = LOOPS["trio"]
    run(take, count, steps)
