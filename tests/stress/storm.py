"""A storm: thousands of ops of all kinds, most of them cancelled somewhere on their way.

All that is chosen comes from the seed. Each op has a buffer and a place in a file of its own, so
that for each byte it is known what may be there.
"""

from __future__ import annotations

import asyncio
import mmap
import os
from collections import Counter
from contextlib import AsyncExitStack
from random import Random
from typing import TYPE_CHECKING, Any
from zlib import crc32

import asyncuring
from asyncuring import BufferPool, GroupCommit, open_file
from tests.running import (
    CancelledTaskError,
    Task,
    checkpoint,
    checkpoints,
    gather,
    in_trio,
    is_pinned,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from asyncuring import UringFile
    from asyncuring._runtime import DriverName

BLOCK = 4096
CLIENTS = 64
RECORD = 8  # bytes that a FIFO gives to one read
FILL = 0xA5
DATA = Random(0).randbytes(512 * BLOCK)

FILES: dict[str, dict[str, Any]] = {
    "data": {},
    "data, direct": {"direct": True},
    "written": {},
    "written, direct": {"direct": True},
    "chained": {},
    "log": {},
    "fifo": {},
}


class Storm:
    """One of them. returned, cancelled: how many ops ended how, by kind."""

    def __init__(self, seed: int, ops: int, driver: DriverName, folder: Path) -> None:
        self.seed = seed
        self.ops = ops
        self.driver: DriverName = driver
        self.folder = folder
        self.returned = Counter[str]()
        self.cancelled = Counter[str]()
        self.files: dict[str, UringFile] = {}
        self._sums: list[tuple[Any, int]] = []
        self._written: dict[tuple[str, int], tuple[bytes, bool]] = {}
        self._logged: dict[int, bytes] = {}
        self._stream: list[bytearray] = []
        self._fed = 0
        self._kinds: dict[str, Callable[[int, Random], Awaitable[None]]] = {
            "read": self._read,
            "direct read": self._read_direct,
            "leased read": self._read_leased,
            "read_many_at": self._read_many,
            "write": self._write,
            "direct write": self._write_direct,
            "chain": self._chain,
            "append": self._append,
            "FIFO read": self._read_stream,
            "open": self._open,
        }

    async def run(self) -> None:
        """Blow over, and check all that it left."""
        for name in FILES:
            path = self.folder / name.partition(",")[0]
            if name == "fifo":
                os.mkfifo(path)
            elif not path.exists():
                path.write_bytes(DATA if name == "data" else b"")
        async with AsyncExitStack() as stack:
            for name, options in FILES.items():
                path = self.folder / name.partition(",")[0]
                opening = open_file(path, "r+", driver=self.driver, cached_reads="ring", **options)
                self.files[name] = await stack.enter_async_context(await opening)
            self._pool = stack.enter_context(BufferPool(BLOCK, CLIENTS // 4))
            self._log = GroupCommit(self.files["log"], 0)
            blowing = Task.start(gather, self._client, CLIENTS)
            await self._feed_until(blowing)
            await blowing.join()
            left = asyncuring.statistics()
            assert (left.in_flight, left.backlog) == (0, 0)
            assert self._pool.statistics().leased == self._pool.statistics().withheld == 0
            self._check_stream()
        self._check_buffers()
        self._check_files()

    async def _feed_until(self, blowing: Task[Any]) -> None:
        """Give the FIFO something, now and then, and take the data from the page cache."""
        random = Random(f"{self.seed} feeder")
        while not blowing.done:
            os.write(self.files["fifo"].fileno(), self._fed.to_bytes(RECORD, "big"))
            self._fed += 1
            os.posix_fadvise(self.files["data"].fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            await checkpoints(random.randrange(20))

    async def _client(self, number: int) -> None:
        for op in range(number, self.ops, CLIENTS):
            random = Random(f"{self.seed} {op}")
            kind = random.choice(list(self._kinds))
            ending = random.choice(["none", "cancel", "cancel", "cancel", "cancels", "timeout"])
            seconds = random.uniform(0, 0.003) if ending == "timeout" else None
            task = Task.start(self._perform, kind, op, random, seconds)
            if ending.startswith("cancel"):
                await checkpoints(random.choice([0, 0, 1, 1, 2, 3, 5, 10]))
                task.cancel()
            while ending == "cancels" and not task.done:
                task.cancel()
                await checkpoint()
            try:
                await task.join()
            except (CancelledTaskError, asyncio.TimeoutError):
                self.cancelled[kind] += 1
            else:
                self.returned[kind] += 1

    async def _perform(self, kind: str, op: int, random: Random, seconds: float | None) -> None:
        perform = self._kinds[kind]
        if seconds is None:
            await perform(op, random)
        elif in_trio():
            import trio

            with trio.move_on_after(seconds) as scope:
                await perform(op, random)
            if scope.cancelled_caught:
                raise asyncio.TimeoutError
        else:
            await asyncio.wait_for(perform(op, random), seconds)

    # -- the kinds

    async def _read_into(self, bufs: list[Any], offs: list[int], file: UringFile) -> None:
        """Read, and look at the buffers at once: right as far as they were read, else untouched."""
        results: list[int | Exception] = [0] * len(bufs)
        try:
            if len(bufs) == 1:
                results = [await file.read_at(bufs[0], offs[0])]
            else:
                results = await file.read_many_at(list(zip(bufs, offs)))  # noqa: B905  pairs
        finally:
            for buf, off, result in zip(bufs, offs, results):  # noqa: B905  one each
                self._keep(buf)
                right = DATA[off : off + len(buf)]
                assert result == 0 or result == len(right), result
                check_prefix(bytes(buf), right, FILL, whole=result != 0)

    async def _read(self, _op: int, random: Random) -> None:
        off, length = random.randrange(len(DATA) - 5 * BLOCK), random.randrange(1, 5 * BLOCK)
        await self._read_into([filled(length)], [off], self.files["data"])

    async def _read_direct(self, _op: int, random: Random) -> None:
        page = mmap.mmap(-1, BLOCK)
        page[:] = filled(BLOCK)
        off = random.randrange(len(DATA) // BLOCK) * BLOCK
        await self._read_into([page], [off], self.files["data, direct"])

    async def _read_leased(self, _op: int, random: Random) -> None:
        off = random.randrange(len(DATA) // BLOCK) * BLOCK
        async with self._pool.lease() as view:
            view[:] = filled(BLOCK)
            try:
                assert await self.files["data, direct"].read_at(view, off) == BLOCK
            finally:
                found = bytes(view)
                check_prefix(found, DATA[off : off + BLOCK], FILL, whole=False)
            await checkpoints(3)
            assert view == found

    async def _read_many(self, _op: int, random: Random) -> None:
        offs = [random.randrange(len(DATA) - BLOCK) for _ in range(8)]
        await self._read_into([filled(512) for _ in offs], offs, self.files["data"])

    async def _write_into(self, file: str, op: int, content: Any) -> None:
        place = (file.partition(",")[0], op * BLOCK)
        self._written[place] = (bytes(content), False)
        assert await self.files[file].write_at(content, op * BLOCK) == BLOCK
        self._written[place] = (bytes(content), True)

    async def _write(self, op: int, _random: Random) -> None:
        await self._write_into("written", op, bytearray(block_of(op)))

    async def _write_direct(self, op: int, _random: Random) -> None:
        page = mmap.mmap(-1, BLOCK)
        page[:] = block_of(op)
        await self._write_into("written, direct", op, page)

    async def _chain(self, op: int, random: Random) -> None:
        content, buf = block_of(op), filled(BLOCK)
        place = ("chained", op * BLOCK)
        self._written[place] = (content, False)
        chain = self.files["chained"].chain()
        try:
            async with chain:
                chain.write_all_at(content, op * BLOCK)
                if random.randrange(8) == 0:
                    chain.fdatasync()
                chain.read_exactly_at(buf, op * BLOCK)
        finally:
            self._keep(buf)
            # None recorded, if the task was cancelled before its first step.
            done = [step.result is not None for step in chain.steps] or [False]
            self._written[place] = (content, done[0])
            check_prefix(bytes(buf), content, FILL, whole=done[-1])

    async def _append(self, op: int, random: Random) -> None:
        record = op.to_bytes(RECORD, "big") * random.randrange(1, 100)
        self._logged[await self._log.append(record)] = record

    async def _read_stream(self, _op: int, _random: Random) -> None:
        buf = filled(RECORD)
        self._stream.append(buf)
        try:
            assert await self.files["fifo"].read_at(buf, 0) == RECORD
        finally:
            self._keep(buf)

    async def _open(self, _op: int, _random: Random) -> None:
        async with await open_file(self.folder / "data", driver=self.driver) as file:
            assert await file.read_at(bytearray(1), 0) == 1

    # -- what must be true afterwards

    def _keep(self, buf: Any) -> None:
        """From now on nobody changes `buf`."""
        self._sums.append((buf, crc32(buf)))

    def _check_buffers(self) -> None:
        for buf, before in self._sums:
            assert crc32(buf) == before, "a buffer was written to after its await had ended"
            assert not isinstance(buf, bytearray) or not is_pinned(buf)

    def _check_stream(self) -> None:
        """Each record is in one buffer, or still there."""
        found = [bytes(buf) for buf in self._stream if buf != filled(RECORD)]
        fd = self.files["fifo"].fileno()
        os.set_blocking(fd, False)
        while len(found) < self._fed:
            found.append(os.read(fd, RECORD))
        assert sorted(found) == [number.to_bytes(RECORD, "big") for number in range(self._fed)]

    def _check_files(self) -> None:
        assert (self.folder / "data").read_bytes() == DATA
        for (name, off), (content, returned) in self._written.items():
            with (self.folder / name).open("rb") as file:
                file.seek(off)
                found = file.read(BLOCK).ljust(BLOCK, b"\0")
            check_prefix(found, content, 0, whole=returned)
        log = (self.folder / "log").read_bytes()
        for off, record in self._logged.items():
            assert log[off : off + len(record)] == record


def filled(length: int) -> bytearray:
    return bytearray([FILL]) * length


def block_of(op: int) -> bytes:
    """What op number `op` writes."""
    return (op + 1).to_bytes(8, "big") * (BLOCK // 8)


def check_prefix(found: bytes, right: bytes, rest: int, *, whole: bool) -> None:
    """What is `found` is `right`; or, unless `whole`, is that up to some byte and then `rest`."""
    if found == right:
        return
    assert not whole, "what was acknowledged is not there"
    count = next((at for at, byte in enumerate(found) if byte != right[at]), len(right))
    assert found[count:] == bytes([rest]) * (len(found) - count), "bytes that nobody asked for"
