"""One of the many that use the files at the same time."""

from __future__ import annotations

import random
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from tests.soak.content import BLOCK
from tests.soak.logs import LOG_OPS
from tests.soak.page_ops import PAGE_OPS, TOGETHER
from tests.soak.small_files import OWN_SMALL_FILE_OPS, SMALL_FILE_OPS
from tests.soak.tasks import sleep

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.soak.pages import PageFile
    from tests.soak.world import World

__all__ = ["OWN_BLOCKS", "Client"]

# What each client may write to, side by side in one file.
OWN_BLOCKS = 8

OPS = [*PAGE_OPS, *LOG_OPS, *SMALL_FILE_OPS]
ALL_OPS = [*OPS, *OWN_SMALL_FILE_OPS]

# No read leaves its buffer like that, and no block looks like it.
POISON = b"\xa5" * (BLOCK * TOGETHER)


class Client:
    """Does one op after the other, chosen at random, until the time is over.

    Attributes:
        file: of blocks, in which `own` are the numbers of those that only this client writes.
        own_small_file: likewise, if it has one.
        durable_share: of the chains, which would sync too often.
    """

    durable_share = 0.1

    def __init__(self, number: int, world: World) -> None:
        """Take a place in `world`."""
        self.number = number
        self.world = world
        self.driver = world.driver
        self.tally = world.tally
        self.random = random.Random(f"{world.seed} {number}")
        self.file: PageFile = world.page_files[number % len(world.page_files)]
        first = number // len(world.page_files) * OWN_BLOCKS
        self.own = range(first, first + OWN_BLOCKS)
        self._ops = OPS
        if number < len(world.small_files):
            self.own_small_file = world.small_files[number]
            self._ops = ALL_OPS
        self._weights = [weight for _, _, weight in self._ops]

    def own_blocks(self, count: int) -> range:
        """Some of its own, side by side."""
        first = self.random.randrange(self.own[0], self.own[-1] + 2 - count)
        return range(first, first + count)

    def some_blocks(self, count: int) -> tuple[PageFile, range]:
        """Some of anybody's; a quarter of the time of its own, which it may have just written."""
        if self.random.random() < 0.25:
            return self.file, self.own_blocks(count)
        file = self.random.choice(self.world.page_files)
        first = self.random.randrange(len(file.places) + 1 - count)
        return file, range(first, first + count)

    def buffer(self, file: PageFile, blocks: int) -> Buffer:
        """Give a buffer for some blocks of `file`, for an ``async with`` block."""
        return Buffer(self, blocks, from_pool=file.is_direct)

    async def run(self) -> None:
        """Work."""
        with self.world.class_of(self.number):
            while monotonic() < self.world.until:
                name, op, _ = self.random.choices(self._ops, self._weights)[0]
                await self._perform(name, partial(op, self))
                if self.random.random() < 0.05:
                    await sleep(self.random.random() * 0.1)

    async def _perform(self, name: str, op: partial[Awaitable[None]]) -> None:
        chance = self.random.random()
        if chance < 0.08:
            done = await self.world.interrupter.cancellable(op)
            self.tally.ends["to be cancelled, done before" if done else "cancelled"] += 1
        elif chance < 0.14:
            seconds = self.random.choice((0, 0.001, 0.03, 0.3))
            done = await self.world.interrupter.limited(op, seconds)
            self.tally.ends["with a time limit, done before" if done else "timed out"] += 1
        else:
            await op()
        self.tally.ops[name] += 1


class Buffer:
    """A poisoned buffer; when the block is left it is watched for late changes.

    Always after an interruption, of the others now and then.
    """

    def __init__(self, client: Client, blocks: int, *, from_pool: bool) -> None:
        """Of the world's pool, or of its own memory."""
        self._client = client
        self._length = blocks * BLOCK
        self._from_pool = from_pool
        self._view: memoryview
        self._release: Callable[[], None] = _nothing

    async def __aenter__(self) -> memoryview:
        if self._from_pool:
            pool = self._client.world.pool
            whole = await pool.acquire()
            self._release = partial(pool.give_back, whole)
            self._view = whole[: self._length]
        else:
            self._view = memoryview(bytearray(self._length))
        self._view[:] = POISON[: self._length]
        return self._view

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None or self._client.random.random() < 0.1:
            what = f"buffer of client {self._client.number}, {kind}"
            self._client.world.guard.watch(self._view, what, self._release)
        else:
            self._release()


def _nothing() -> None:
    """The memory goes with its last view."""
