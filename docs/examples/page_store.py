"""A store of pages that a crash cannot hurt: the lowest floor of a database.

    async with await PageStore.open("accounts") as store:
        async with store.transaction() as change:
            change.write(3, b"from")
            change.write(9, b"to")
        print(await store.read(3))

A transaction is one record of the write-ahead log, with all the pages that it changes. When that is
durable, the pages come into the cache, and sometime later to their places in the file: a torn page
is always one that the log still has whole. A checkpoint begins a second log, writes the changed
pages, makes them durable, and removes the first log. Opening puts the pages of both logs into their
places.

Transactions are atomic and durable. They are not isolated: of two that change the same page the one
that commits last wins. Who changes what he has read keeps others from it meanwhile, by a lock of
his event loop.

The same code runs on asyncio and trio, for it starts no task and knows no lock of theirs: whoever
needs room or finds the log long does the work, and a pool of one buffer is what they wait for.
"""

from __future__ import annotations

import errno
import struct
from collections import Counter
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from page_cache import PAGE_SIZE, PAYLOAD_SIZE, Page, PageCache, decode, encode
from write_ahead_log import WriteAheadLog

import asyncuring

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Self

    from asyncuring import DriverChoice

PAGES_MAX = 1 << 30  # 8 TiB, which file systems admit: what is logged must find its place
TRANSACTION_PAGES_MAX = 1024
LOG_BYTES_MAX = 16 << 20  # a longer log is a checkpoint's turn

READS = 64  # of pages from the disk, at once
WAYS = 64  # for pages to the disk; a page always goes the same way, so that its writes take turns

CHANGE = struct.Struct("<Q")  # before each page in a record: its number


class StoreFailedError(OSError):
    """Something that had to be made durable was not; open the store again."""


class Transaction:
    """Pages that are going to change together, when the block is left without an exception."""

    def __init__(self, store: PageStore) -> None:
        """Use `PageStore.transaction`."""
        self._store = store
        self.changes: dict[int, bytes] = {}

    async def read(self, number: int) -> bytes:
        """Return a page, as this transaction sees it."""
        changed = self.changes.get(number)
        return await self._store.read(number) if changed is None else changed

    def write(self, number: int, data: bytes) -> None:
        """Give a page new content; what `data` has less than `PAYLOAD_SIZE` are zeros."""
        if not 0 <= number < PAGES_MAX or len(data) > PAYLOAD_SIZE:
            raise ValueError(f"there is no page {number} with {len(data)} bytes")
        if len(self.changes) == TRANSACTION_PAGES_MAX and number not in self.changes:
            raise ValueError(f"a transaction changes {TRANSACTION_PAGES_MAX} pages at most")
        self.changes[number] = bytes(data).ljust(PAYLOAD_SIZE, b"\0")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None and self.changes:
            await self._store.commit(self.changes)


class PageStore:
    """Pages in a folder: `pages`, and the logs `log-0` and `log-1`, of which one mostly exists.

    direct: whether the pages go past the system's page cache (O_DIRECT).
    """

    log_class = WriteAheadLog

    def __init__(self, path: str | Path, cache_pages: int, driver: DriverChoice | None) -> None:
        """Use `open`."""
        self._path = Path(path).absolute()
        self._driver = driver
        self._cache = PageCache()
        self._cache_pages = cache_pages
        self._loading: Counter[int] = Counter()  # pages that are being read
        self._incoming = asyncuring.BufferPool(PAGE_SIZE, READS)
        self._outgoing = [asyncuring.BufferPool(PAGE_SIZE, 1) for _ in range(WAYS)]
        self._checkpoint_turn = asyncuring.BufferPool(1, 1)
        self._is_checkpointing = False
        self._failure: OSError | None = None
        self._pages: asyncuring.UringFile
        self._log: WriteAheadLog
        self._slot = 0  # whose file is the log
        self._old: WriteAheadLog | None = None  # until all its pages are in their places
        self._is_old_draining = False
        self.direct = False

    # -- reading and changing

    async def read(self, number: int) -> bytes:
        """Return the `PAYLOAD_SIZE` bytes of a page; zeros, if it was never written.

        Raises:
            DamagedPageError: what the disk has is not what was written.
            OSError: as from the file's operations.
        """
        while (page := self._cache.get(number)) is None:
            await self._load(number)
        return page.data

    async def write(self, number: int, data: bytes) -> None:
        """Change one page: a transaction of its own."""
        async with self.transaction() as change:
            change.write(number, data)

    def transaction(self) -> Transaction:
        """Make a transaction, for an `async with` block; leaving that commits it, durably."""
        return Transaction(self)

    async def commit(self, changes: dict[int, bytes]) -> None:
        """Change pages together: all of it is durable when this returns (see `Transaction`).

        A task that is cancelled here leaves all of it or nothing.

        Raises:
            StoreFailedError: it is not durable, or an earlier change is not. Whether it is there
                after the store was opened again nobody knows.
            OSError: there was no room in the cache because a page could not be written (EIO,
                ENOSPC), and nothing was changed.
        """
        is_due = self._log.end > LOG_BYTES_MAX or self._old is not None
        if is_due and not self._is_checkpointing:
            await self.checkpoint()
        await self._make_room()
        self._refuse_if_failed()
        lsn = self._log.next_lsn
        record = b"".join(CHANGE.pack(number) + data for number, data in changes.items())
        try:
            await self._log.append(record, on_durable=lambda: self._install(lsn, changes))
        except OSError as error:
            raise self._failed(error) from error

    def _install(self, lsn: int, changes: dict[int, bytes]) -> None:
        """Let everybody see what is durable by now. At once: nobody sees half of it."""
        for number, data in changes.items():
            page = self._cache.peek(number)
            if page is None or page.lsn < lsn:  # or the new log was quicker than the old one
                self._cache.put(number, Page(data, lsn, is_dirty=True))

    # -- from the disk, and to it

    async def _load(self, number: int) -> None:
        await self._make_room()
        self._loading[number] += 1  # it stays in the cache, if it comes there meanwhile
        try:
            async with self._incoming.lease() as buf:
                count = await self._pages.read_at(buf, number * PAGE_SIZE)
                if self._cache.peek(number) is None:  # else that is newer than what was read
                    self._cache.put(number, decode(buf[:count], number))
        finally:
            self._loading[number] -= 1
            if not self._loading[number]:
                del self._loading[number]

    async def _make_room(self) -> None:
        """Take pages out of the cache; there may be as many too many as tasks are at work."""
        while len(self._cache) >= self._cache_pages:
            number = self._cache.victim(self._is_held)
            if number is None:
                return
            await self._write_out([number])
            page = self._cache.peek(number)
            if page is not None and not self._is_held(number, page) and not page.is_dirty:
                self._cache.drop(number)

    def _is_held(self, number: int, page: Page) -> bool:
        # While the old log drains, its older versions may come after the newer ones.
        return number in self._loading or (page.is_dirty and self._is_old_draining)

    async def _write_out(self, numbers: Iterable[int]) -> None:
        """Write pages to their places, if they have changed; not two that go the same way."""
        async with AsyncExitStack() as ways:
            pages, writes = [], []
            for number in sorted(numbers, key=lambda number: number % WAYS):
                buf = await ways.enter_async_context(self._outgoing[number % WAYS].lease())
                page = self._cache.peek(number)
                if page is not None and page.is_dirty:
                    encode(page, number, buf)
                    pages.append(page)
                    writes.append((buf, number * PAGE_SIZE))
            for page, result in zip(pages, await self._pages.write_many_at(writes), strict=True):
                if isinstance(result, Exception):
                    raise result
                if result != PAGE_SIZE:
                    raise OSError(errno.ENOSPC, f"only {result} bytes of a page were written")
                page.is_dirty = False

    async def _write_all_out(self) -> None:
        dirty = self._cache.dirty()
        while dirty:
            batch = {number % WAYS: number for number in dirty}.values()
            await self._write_out(batch)
            dirty.difference_update(batch)

    # -- the checkpoint

    async def checkpoint(self) -> None:
        """Put all changes into their places, so that the log can begin anew.

        Changes go on meanwhile. Where it is interrupted, the next one does the rest.

        Raises:
            StoreFailedError: a sync failed, now or earlier.
            OSError: a page could not be written.
        """
        self._is_checkpointing = True
        try:
            async with self._checkpoint_turn.lease():
                self._refuse_if_failed()
                if self._old is None:
                    await self._begin_log()
                await self._drain_old()
                self._refuse_if_failed()
                await self._write_all_out()
                await self._settle(1 - self._slot)
                self._old = None
        finally:
            self._is_checkpointing = False

    async def _begin_log(self) -> None:
        path = self._log_path(1 - self._slot)
        log = await self.log_class.create(path, self._log.next_lsn, driver=self._driver)
        if self._checkpoint_turn.closed:  # the store was, and has closed the logs that it had
            await log.aclose()
            raise asyncuring.ClosedFileError(f"the store {str(self._path)!r} is closed")
        log.next_lsn = self._log.next_lsn
        self._old, self._log, self._slot = self._log, log, 1 - self._slot
        self._is_old_draining = True

    async def _drain_old(self) -> None:
        """Wait until what was appended to the old log is durable there, and installed."""
        assert self._old is not None
        if not self._old.uring_file.closed:  # by a checkpoint that was interrupted
            await self._old.uring_file.barrier()
            self._is_old_draining = False
            await self._old.aclose()

    async def _settle(self, slot: int) -> None:
        """Make the pages durable, and remove the log that is not needed any more."""
        try:
            await self._sync_pages()
            with suppress(FileNotFoundError):  # an interrupted checkpoint had come so far
                await asyncuring.unlink(self._log_path(slot), driver=self._driver)
            await self._sync_directory(self._path)
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> StoreFailedError:
        """Have nothing more changed: after a failed fsync a later one proves nothing."""
        self._failure = self._failure or error
        return StoreFailedError(error.errno, f"the store has failed: {error}")

    def _refuse_if_failed(self) -> None:
        if self._failure is not None:
            raise self._failed(self._failure)

    # -- opening and closing

    @classmethod
    async def open(
        cls, path: str | Path, *, cache_pages: int = 4096, driver: DriverChoice | None = None
    ) -> Self:
        """Open a store, or create one, and recover what a crash has left.

        Waits while another process has it. One that was killed has it until the kernel is done with
        what it had under way.

        Args:
            path: its folder.
            cache_pages: how many pages of 8 KiB to keep in memory; at least one.
            driver: as for `asyncuring.open_file`.

        Raises:
            DamagedLogError, DamagedPageError: the disk has lost what had been durable.
            OSError: as from the operations on files.
        """
        store = cls(path, max(1, cache_pages), driver)
        try:
            await store._open_pages()
            await store._recover()
        except BaseException:
            await store._close()
            raise
        return store

    async def _open_pages(self) -> None:
        with suppress(FileExistsError):
            await asyncuring.mkdir(self._path, driver=self._driver)
        await self._sync_directory(self._path.parent)
        path = self._path / "pages"
        with suppress(FileExistsError):
            await (await asyncuring.open_file(path, "x+", driver=self._driver)).aclose()
        await self._sync_directory(self._path)
        try:
            self._pages = await asyncuring.open_file(path, "r+", direct=True, driver=self._driver)
            self.direct = True
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # The file system has no O_DIRECT (open(2), EINVAL): `direct` says so.
            self._pages = await asyncuring.open_file(path, "r+", driver=self._driver)
        await self._pages.lock()

    async def _recover(self) -> None:
        """Put what the logs have into the file, and begin an empty log."""
        logs = []
        for slot in (0, 1):
            log = await self.log_class.open(self._log_path(slot), driver=self._driver)
            await log.aclose()
            logs.append(log)
        for record in sorted(record for log in logs for record in log.recovered):
            step = CHANGE.size + PAYLOAD_SIZE
            for start in range(0, len(record.payload), step):
                number = CHANGE.unpack_from(record.payload, start)[0]
                data = record.payload[start + CHANGE.size : start + step]
                self._cache.put(number, Page(data, record.lsn, is_dirty=True))
                await self._make_room()
        await self._write_all_out()
        await self._sync_pages()
        lsn = max(log.next_lsn for log in logs)
        self._log = await self.log_class.create(self._log_path(0), lsn, driver=self._driver)
        await self._settle(1)

    async def aclose(self) -> None:
        """Close the store, with a checkpoint before, if it has not failed."""
        try:
            if self._failure is None:
                await self.checkpoint()
        finally:
            await self._close()

    async def _close(self) -> None:
        self._checkpoint_turn.close()  # first: another task's checkpoint may be under way
        async with AsyncExitStack() as stack:
            for pool in (self._incoming, *self._outgoing):
                stack.callback(pool.close)
            for name in ("_pages", "_log", "_old"):
                if (file := getattr(self, name, None)) is not None:
                    stack.push_async_callback(file.aclose)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def _log_path(self, slot: int) -> Path:
        return self._path / f"log-{slot}"

    # -- what tests replace by something wrong, to see that it matters

    async def _sync_pages(self) -> None:
        await self._pages.fdatasync()

    async def _sync_directory(self, path: Path) -> None:
        await asyncuring.sync_directory(path, driver=self._driver)


async def main() -> None:
    """Change pages from many tasks, and read them when the store was opened again."""
    async with await PageStore.open("example", cache_pages=100) as store:
        tasks = (store.write(number, b"page %d" % number) for number in range(200))
        await asyncio.gather(*tasks)
    async with await PageStore.open("example", cache_pages=100) as store:
        print((await store.read(123)).rstrip(b"\0").decode(), "O_DIRECT" if store.direct else "")


if __name__ == "__main__":
    import asyncio

    asyncio.run(main())
