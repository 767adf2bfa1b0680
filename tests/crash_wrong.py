"""The examples' log and page store, each wrong in one way: `crash_test` must find them out."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from page_store import PageStore
from write_ahead_log import WriteAheadLog, header

import asyncuring

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typing_extensions import Self

    from asyncuring import DriverChoice


class OneByOne:
    """In the place of a `GroupCommit`: a write and a sync for each record. Right yet."""

    def __init__(self, uring_file: asyncuring.UringFile, end: int) -> None:
        self.end = end
        self._uring_file = uring_file
        self._turn = asyncuring.BufferPool(1, 1)

    async def append(self, record: bytes, *, on_durable: Callable[[int], object] | None) -> None:
        async with self._turn.lease():
            await self._uring_file.write_all_at(record, self.end)
            await self.sync(self._uring_file)
            self.end += len(record)
            if on_durable is not None:
                on_durable(self.end)

    def close(self) -> None:
        self._turn.close()

    async def sync(self, uring_file: asyncuring.UringFile) -> None:
        await uring_file.fdatasync()


class NeverSyncing(OneByOne):
    async def sync(self, uring_file: asyncuring.UringFile) -> None:
        pass


async def sync_heedlessly(uring_file: asyncuring.UringFile) -> None:
    """Sync, and go on if that fails; without power nobody goes on."""
    with suppress(OSError):
        await uring_file.fdatasync()
    await uring_file.stat()


class Heedless(OneByOne):
    async def sync(self, uring_file: asyncuring.UringFile) -> None:
        await sync_heedlessly(uring_file)


class LogOneByOne(WriteAheadLog):
    group_class: type[OneByOne] = OneByOne

    def _new_group(self, end: int) -> Any:
        return self.group_class(self.uring_file, end)

    async def aclose(self) -> None:
        try:
            await super().aclose()
        finally:
            cast("OneByOne", self._group).close()


class LogWithoutSync(LogOneByOne):
    """Missing: fdatasync behind the records."""

    group_class = NeverSyncing


class LogWithoutHeed(LogOneByOne):
    """Missing: an end when fdatasync has failed."""

    group_class = Heedless


class LogWithoutDirectory(WriteAheadLog):
    """Missing: the sync of the directory, after the log was created or renamed."""

    @staticmethod
    async def _sync_directory(path: str | Path, driver: DriverChoice | None) -> None:
        pass

    @classmethod
    async def create(
        cls, path: str | Path, lsn: int, *, driver: DriverChoice | None = None
    ) -> Self:
        draft = f"{path}.new"
        async with await asyncuring.open_file(draft, "w+", driver=driver) as uring_file:
            await uring_file.write_all_at(header(lsn), 0)
            await uring_file.fsync()
        await asyncuring.rename(draft, path, driver=driver)
        return await cls.open(path, driver=driver)


class StoreWithoutLogSync(PageStore):
    """Missing: fdatasync of the log."""

    log_class = LogWithoutSync


class StoreWithoutSync(PageStore):
    """Missing: fdatasync of the pages."""

    async def _sync_pages(self) -> None:
        pass


class StoreWithoutDirectory(PageStore):
    """Missing: the sync of the directory, after the store was created."""

    async def _sync_directory(self, path: Path) -> None:
        pass


class StoreWithoutRenameSync(PageStore):
    """Missing: the sync of the directory, after a log was begun."""

    log_class = LogWithoutDirectory


class StoreWithoutHeed(PageStore):
    """Missing: an end when fdatasync of the pages has failed."""

    async def _sync_pages(self) -> None:
        await sync_heedlessly(self._pages)


class StoreWritingEarly(PageStore):
    """Wrong: pages come to their places before their record is durable."""

    async def commit(self, changes: dict[int, bytes]) -> None:
        self._install(self._log.next_lsn, changes)
        await self._write_out(changes)
        await super().commit(changes)


class StoreTruncatingEarly(PageStore):
    """Wrong: the old log goes before the pages are durable."""

    async def _settle(self, slot: int) -> None:
        with suppress(FileNotFoundError):
            await asyncuring.unlink(self._log_path(slot), driver=self._driver)
        await self._sync_directory(self._path)
        await super()._settle(slot)


WRONG_LOGS = (LogWithoutSync, LogWithoutHeed, LogWithoutDirectory)
WRONG_STORES = (
    *(StoreWithoutLogSync, StoreWithoutSync, StoreWithoutDirectory, StoreWithoutRenameSync),
    *(StoreWithoutHeed, StoreWritingEarly, StoreTruncatingEarly),
)
