"""What clients do with files of blocks. Each function is one op, and verifies what it sees."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import asyncuring
from tests.running import checkpoint
from tests.soak.content import BLOCK
from tests.soak.pages import Change, Look
from tests.soak.tasks import together

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.soak.client import Client

__all__ = ["PAGE_OPS"]

# A client's own blocks lie side by side; one op takes so many at most.
TOGETHER = 4


async def read(client: Client) -> None:
    file, numbers = client.some_blocks(client.random.choice((1, 1, 1, TOGETHER)))
    async with client.buffer(file, len(numbers)) as view:
        look = Look(file, numbers, client.tally)
        look.verify(view, await file.uring_file.read_at(view, numbers[0] * BLOCK))


async def read_many(client: Client) -> None:
    file, numbers = client.some_blocks(TOGETHER)
    async with client.buffer(file, len(numbers)) as view:
        looks = [Look(file, [number], client.tally) for number in numbers]
        requests = [(part, n * BLOCK) for part, n in zip(parts(view), numbers)]  # noqa: B905
        counts = await file.uring_file.read_many_at(requests)
        for look, (part, _), count in zip(looks, requests, counts):  # noqa: B905  one for each
            if isinstance(count, int):
                look.verify(part, count)
        raise_first(counts)


async def readv(client: Client) -> None:
    file, numbers = client.some_blocks(TOGETHER)
    async with client.buffer(file, len(numbers)) as view:
        look = Look(file, numbers, client.tally)
        count = await file.uring_file.readv_at(parts(view), numbers[0] * BLOCK)
        look.verify(view, count)


async def reopen(client: Client) -> None:
    """Open a file for one read, and close it."""
    file, numbers = client.some_blocks(1)
    async with (
        await asyncuring.open_file(
            file.path, direct=file.is_direct, driver=client.driver
        ) as uring_file,
        client.buffer(file, 1) as view,
    ):
        look = Look(file, numbers, client.tally)
        look.verify(view, await uring_file.read_at(view, numbers[0] * BLOCK))


async def write(client: Client, *, durable: bool = False) -> None:
    numbers = client.own_blocks(client.random.choice((1, 1, 1, TOGETHER)))
    async with client.buffer(client.file, len(numbers)) as view:
        with Change(client.file, numbers, client.number) as change:
            change.fill(view)
            write_at = client.file.uring_file.write_at
            change.kept(await write_at(view, numbers[0] * BLOCK, durable=durable))


async def write_many(client: Client) -> None:
    numbers = client.own_blocks(TOGETHER)
    async with client.buffer(client.file, len(numbers)) as view:
        with Change(client.file, numbers, client.number) as change:
            change.fill(view)
            requests = [(part, n * BLOCK) for part, n in zip(parts(view), numbers)]  # noqa: B905
            counts = await client.file.uring_file.write_many_at(requests)
            for index, count in enumerate(counts):
                change.kept(count if isinstance(count, int) else 0, index)
        raise_first(counts)


async def writev(client: Client) -> None:
    numbers = client.own_blocks(TOGETHER)
    async with client.buffer(client.file, len(numbers)) as view:
        with Change(client.file, numbers, client.number) as change:
            change.fill(view)
            count = await client.file.uring_file.writev_at(parts(view), numbers[0] * BLOCK)
            change.kept(count)


async def chain(client: Client) -> None:
    """Write, make it durable, read it back: one op, whose steps tell what came of each."""
    numbers = client.own_blocks(2)
    async with (
        client.buffer(client.file, len(numbers)) as view,
        client.buffer(client.file, len(numbers)) as back,
    ):
        with Change(client.file, numbers, client.number) as change:
            change.fill(view)
            chain = client.file.uring_file.chain()
            try:
                async with chain:
                    for part, number in zip(parts(view), numbers):  # noqa: B905  one for each
                        chain.write_all_at(part, number * BLOCK)
                    if client.random.random() < client.durable_share:
                        chain.fdatasync()
                    chain.read_exactly_at(back, numbers[0] * BLOCK)
            finally:
                for index in range(len(numbers)):
                    step = chain.steps[index]
                    change.kept(step.result or 0, index)
                    if step.skipped:
                        change.skipped(index)
        if back != view:
            client.tally.missed("mismatches", "a chain read something else than it had written")


async def write_and_sync(client: Client) -> None:
    await write(client)
    await client.file.uring_file.fdatasync()


async def barrier(client: Client) -> None:
    """Two writes to the same block at once: the one behind the barrier must win."""
    numbers = client.own_blocks(1)
    asked: list[str] = []

    async def write_it(name: str, after: int) -> None:
        async with client.buffer(client.file, 1) as view:
            while len(asked) < after:
                await checkpoint()
            with Change(client.file, numbers, client.number) as change:
                change.fill(view)
                asked.append(name)
                change.kept(await client.file.uring_file.write_at(view, numbers[0] * BLOCK))

    async def set_barrier() -> None:
        while len(asked) < 1:
            await checkpoint()
        asked.append("barrier")
        await client.file.uring_file.barrier()

    await together([partial(write_it, "before", 0), set_barrier, partial(write_it, "behind", 2)])


async def punch_hole(client: Client) -> None:
    numbers = client.own_blocks(TOGETHER)
    with Change(client.file, numbers, client.number, is_hole=True) as change:
        length = len(numbers) * BLOCK
        await client.file.uring_file.punch_hole(numbers[0] * BLOCK, length)
        change.kept(length)


async def allocate(client: Client) -> None:
    """Allocate what may be a hole; it changes no content."""
    numbers = client.own_blocks(TOGETHER)
    length = len(numbers) * BLOCK
    await client.file.uring_file.allocate(numbers[0] * BLOCK, length)


async def truncate(client: Client) -> None:
    """Cut off some blocks, of the client that has the last ones of its file."""
    last = len(client.file.places)
    first = client.random.randrange(last - len(client.own), last)
    if client.own[-1] != last - 1:
        await allocate(client)
        return
    with Change(client.file, range(first, last), client.number, is_hole=True) as change:
        await client.file.uring_file.truncate(first * BLOCK)
        change.kept((last - first) * BLOCK)
    await client.file.uring_file.allocate(0, client.file.size)


async def stat(client: Client) -> None:
    size = (await client.file.uring_file.stat()).size
    smallest = client.file.size - len(client.own) * BLOCK  # all clients have as many
    if not smallest <= size <= client.file.size:
        client.tally.missed("mismatches", f"a size of {size}: not {smallest} to {client.file.size}")


def parts(view: memoryview) -> list[memoryview]:
    """The blocks of a buffer."""
    return [view[start : start + BLOCK] for start in range(0, len(view), BLOCK)]


def raise_first(results: list[int | Exception]) -> None:
    """Raise what an op of many met."""
    for result in results:
        if isinstance(result, Exception):
            raise result


# Name, op, and how often it is chosen beside the others.
PAGE_OPS: list[tuple[str, Callable[[Client], Awaitable[None]], float]] = [
    ("read_at", read, 40),
    ("read_many_at", read_many, 8),
    ("readv_at", readv, 6),
    ("open, read, close", reopen, 2),
    ("write_at", write, 18),
    ("write_many_at", write_many, 4),
    ("writev_at", writev, 4),
    ("write_at durable", partial(write, durable=True), 0.6),
    ("write_at, fdatasync", write_and_sync, 0.4),
    ("chain", chain, 3),
    ("barrier", barrier, 0.7),
    ("punch_hole", punch_hole, 1),
    ("allocate", allocate, 1),
    ("truncate, allocate", truncate, 1),
    ("stat", stat, 1),
]
