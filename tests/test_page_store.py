"""The example of a page store: what was committed is there, whole, on each loop and driver."""

from __future__ import annotations

import asyncio
import errno
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

import page_store
import pytest
from page_cache import PAGE_SIZE, PAYLOAD_SIZE, DamagedPageError
from page_store import PageStore, StoreFailedError
from write_ahead_log import DamagedLogError, WriteAheadLog

import asyncuring
from asyncuring import ClosedFileError, ClosedPoolError
from tests.held import no_depth_left
from tests.running import (
    CancelledTaskError,
    Task,
    checkpoints,
    gather,
    run_asyncio,
    start,
    until_in_backlog,
)

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run


def content(text: str) -> bytes:
    return text.encode().ljust(PAYLOAD_SIZE, b"\0")


def copy(store: Path, target: Path) -> None:
    """Copy a store that is in use; what is removed meanwhile is not needed any more."""
    target.mkdir()
    for path in [*store.iterdir()]:
        with suppress(FileNotFoundError):
            shutil.copyfile(path, target / path.name)


async def fill(store: PageStore, task: int, pages: int, turns: int) -> None:
    for turn in range(turns):
        async with store.transaction() as change:
            for page in range(pages):
                change.write(task * pages + page, content(f"{task} {page} {turn}"))


def test_what_many_tasks_commit_is_there_when_it_is_opened_again(
    run: Run, driver: DriverName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_store, "LOG_BYTES_MAX", 400_000)  # so that checkpoints come between
    tasks, pages, turns = 12, 4, 6

    async def main() -> None:
        # Less pages in memory than change: some are written before the checkpoint, and read again.
        async with await PageStore.open(tmp_path / "s", cache_pages=20, driver=driver) as store:

            async def client(task: int) -> None:
                await fill(store, task, pages, turns)
                for page in range(tasks * pages):
                    found = await store.read(page)
                    assert found == bytes(PAYLOAD_SIZE) or len(found.split()) == 3

            await gather(client, tasks)
            for _ in range(2):
                for task in range(tasks):
                    for page in range(pages):
                        expected = content(f"{task} {page} {turns - 1}")
                        assert await store.read(task * pages + page) == expected
                await store.checkpoint()
        async with await PageStore.open(tmp_path / "s", cache_pages=5, driver=driver) as store:
            for number in range(tasks * pages):
                expected = content(f"{number // pages} {number % pages} {turns - 1}")
                assert await store.read(number) == expected
            assert await store.read(10_000) == bytes(PAYLOAD_SIZE)

    run(main)
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) in (
        ["log-0", "pages"],
        ["log-1", "pages"],
    )


def test_a_copy_of_its_files_at_any_moment_recovers_to_whole_transactions(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a process that is killed leaves: files as they are between two steps of the loop."""
    monkeypatch.setattr(page_store, "LOG_BYTES_MAX", 300_000)
    copies: list[int] = []

    async def main() -> None:
        done = 0
        async with await PageStore.open(tmp_path / "s", cache_pages=3) as store:

            async def write(_: int) -> None:
                nonlocal done
                for turn in range(1, 25):
                    async with store.transaction() as change:
                        for page in range(6):
                            change.write(page, content(f"turn {turn}"))
                    done = turn

            writing = Task.start(write, 0)
            while not writing.done:
                if len(copies) < 15:
                    copy(tmp_path / "s", tmp_path / f"copy-{len(copies)}")
                    copies.append(done)
                await checkpoints(8)
            await writing.join()
        for number, least in enumerate(copies):
            async with await PageStore.open(tmp_path / f"copy-{number}", cache_pages=4) as store:
                found = {await store.read(page) for page in range(6)}
                assert len(found) == 1
                turn = int(found.pop().rstrip(b"\0").split()[-1] if least else 0)
                assert turn >= least

    run(main)
    assert len(copies) > 5


def test_a_page_that_is_torn_in_its_place_is_restored_from_the_log(tmp_path: Path) -> None:
    async def main() -> None:
        store = await PageStore.open(tmp_path / "s")
        await store.write(1, b"before")
        await store.checkpoint()
        await store.write(1, b"after")
        copy(tmp_path / "s", tmp_path / "crashed")
        await store.aclose()
        pages = bytearray((tmp_path / "crashed" / "pages").read_bytes())
        pages[PAGE_SIZE + 512 : PAGE_SIZE + 4096] = bytes(range(256)) * 14
        (tmp_path / "crashed" / "pages").write_bytes(pages)
        async with await PageStore.open(tmp_path / "crashed") as store:
            assert await store.read(1) == content("after")

    asyncio.run(main())


def test_damage_is_seen(tmp_path: Path) -> None:
    pages = tmp_path / "s" / "pages"

    async def look(number: int) -> bytes:
        async with await PageStore.open(tmp_path / "s") as store:
            return await store.read(number)

    async def main() -> None:
        async with await PageStore.open(tmp_path / "s") as store:
            for number in range(3):
                await store.write(number, content(f"page {number}"))
        whole = pages.read_bytes()
        for place in range(PAGE_SIZE, 2 * PAGE_SIZE, 479):
            if place % PAGE_SIZE in range(4, 8):
                continue
            changed = bytearray(whole)
            changed[place] ^= 4
            pages.write_bytes(changed)
            with pytest.raises(DamagedPageError, match="page 1"):
                await look(1)
        pages.write_bytes(whole[:PAGE_SIZE] + whole[2 * PAGE_SIZE :])  # in a wrong place
        with pytest.raises(DamagedPageError, match="is page 2"):
            await look(1)
        pages.write_bytes(whole[: PAGE_SIZE + 100])
        with pytest.raises(DamagedPageError, match="100 bytes"):
            await look(1)
        assert await look(0) == content("page 0")

    asyncio.run(main())


def test_a_damaged_log_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        store = await PageStore.open(tmp_path / "s")
        for turn in range(3):
            await store.write(0, content(str(turn)))
        copy(tmp_path / "s", tmp_path / "crashed")
        await store.aclose()
        log = tmp_path / "crashed" / "log-0"
        changed = bytearray(log.read_bytes())
        changed[200] ^= 1
        log.write_bytes(changed)
        with pytest.raises(DamagedLogError, match="damaged at"):
            await PageStore.open(tmp_path / "crashed")

    asyncio.run(main())


def test_a_block_that_is_left_by_an_exception_changes_nothing(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with await PageStore.open(tmp_path / "s") as store:
            await store.write(7, b"before")

            async def fail() -> None:
                async with store.transaction() as change:
                    change.write(7, b"never")
                    assert await change.read(7) == content("never")
                    assert await store.read(7) == content("before")
                    raise KeyError

            with pytest.raises(KeyError):
                await fail()
            assert await store.read(7) == content("before")
            for number, data in [(-1, b""), (page_store.PAGES_MAX, b""), (0, bytes(PAGE_SIZE))]:
                with pytest.raises(ValueError, match="there is no page"):
                    await store.write(number, data)

    run(main)


def test_a_cancelled_commit_is_all_or_nothing_and_hurts_nobody(
    run: Run, driver: DriverName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_store, "LOG_BYTES_MAX", 200_000)
    last: dict[int, set[bytes]] = {}

    async def main() -> None:
        async with await PageStore.open(tmp_path / "s", cache_pages=8, driver=driver) as store:

            async def client(number: int) -> None:
                for turn in range(8):
                    committing = Task.start(fill_once, store, number, turn)
                    await checkpoints(number % 7 + turn)
                    if turn % 2:
                        committing.cancel()
                    with suppress(CancelledTaskError):
                        await committing.join()
                    seen = {await store.read(3 * number + page) for page in range(3)}
                    assert len(seen) == 1
                    last[number] = seen

            await gather(client, 10)
        async with await PageStore.open(tmp_path / "s", driver=driver) as store:
            for number, seen in last.items():
                assert {await store.read(3 * number + page) for page in range(3)} == seen

    async def fill_once(store: PageStore, number: int, turn: int) -> None:
        async with store.transaction() as change:
            for page in range(3):
                change.write(3 * number + page, content(f"{number} {turn}"))

    run(main)


def test_what_is_in_memory_is_what_a_crash_leaves_though_the_task_was_cancelled(
    run: Run, driver: DriverName, fifo: Path, tmp_path: Path
) -> None:
    async def main() -> None:
        async with await PageStore.open(tmp_path / "s", driver=driver) as store:
            async with no_depth_left(fifo, driver):
                committing = Task.start(fill, store, 0, 3, 1)
                await until_in_backlog(1)  # its group is begun
                committing.cancel()
            with suppress(CancelledTaskError):
                await committing.join()
            seen = [await store.read(page) for page in range(3)]
            copy(tmp_path / "s", tmp_path / "crashed")
        assert seen == [content(f"0 {page} 0") for page in range(3)]
        async with await PageStore.open(tmp_path / "crashed", driver=driver) as store:
            assert [await store.read(page) for page in range(3)] == seen

    run(main)


def test_a_failed_sync_is_final_until_the_store_is_opened_again(tmp_path: Path) -> None:
    class FailingOnce(PageStore):
        failures = 0

        async def _sync_pages(self) -> None:
            if self.failures:
                FailingOnce.failures -= 1
                raise OSError(errno.EIO, "Input/output error")
            await super()._sync_pages()

    async def main() -> None:
        store = await FailingOnce.open(tmp_path / "s")
        await store.write(0, b"committed")
        FailingOnce.failures = 1
        with pytest.raises(StoreFailedError):
            await store.checkpoint()
        with pytest.raises(StoreFailedError):
            await store.write(0, b"too late")
        with pytest.raises(StoreFailedError):
            await store.checkpoint()
        assert await store.read(0) == content("committed")
        await store.aclose()
        async with await PageStore.open(tmp_path / "s") as again:
            assert await again.read(0) == content("committed")

    asyncio.run(main())


@pytest.mark.parametrize("steps", [1, 10])
def test_a_store_that_is_closed_during_a_checkpoint_keeps_no_log(
    run: Run, driver: DriverName, tmp_path: Path, steps: int
) -> None:
    async def main() -> None:
        store = await PageStore.open(tmp_path / "s", driver=driver)
        await store.write(0, b"committed")
        checkpointing = await start(store.checkpoint)
        await checkpoints(steps)
        closing = await start(store.aclose)  # it waits for its turn, or is at the end
        closing.cancel()
        for task in (checkpointing, closing):
            with suppress(CancelledTaskError, ClosedFileError, ClosedPoolError):
                await task.join()
        # Not open it again: a log that is open keeps its lock, and that would wait for ever.
        assert asyncuring.statistics().drivers == ()

    run(main)


def test_a_log_that_failed_fails_the_store(tmp_path: Path) -> None:
    class FailingLog(WriteAheadLog):
        async def append(self, payload: bytes, *, on_durable: object = None) -> None:
            if payload.count(b"fail"):
                raise OSError(errno.ENOSPC, "No space left on device")
            await super().append(payload, on_durable=on_durable)  # type: ignore[arg-type]

    class Store(PageStore):
        log_class = FailingLog

    async def main() -> None:
        async with await Store.open(tmp_path / "s") as store:
            await store.write(0, b"well")
            with pytest.raises(StoreFailedError, match="No space left"):
                await store.write(0, b"fail")
            with pytest.raises(StoreFailedError):
                await store.write(0, b"late")
        async with await PageStore.open(tmp_path / "s") as again:
            assert await again.read(0) == content("well")

    asyncio.run(main())


def test_a_store_is_one_processs_at_a_time(run: Run, tmp_path: Path) -> None:
    async def open_store() -> bytes:
        async with await PageStore.open(tmp_path / "s") as store:
            return await store.read(0)

    async def main() -> None:
        async with await PageStore.open(tmp_path / "s") as store:
            opening = await start(open_store)
            await store.write(0, b"before it is opened again")
            assert not opening.done
        assert await opening.join() == content("before it is opened again")

    run(main)


def test_where_there_is_no_direct_io_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = asyncuring.open_file

    async def without_direct(
        path: object, mode: str, *, direct: bool = False, **rest: object
    ) -> object:
        if direct:
            raise OSError(errno.EINVAL, "Invalid argument")
        return await plain(path, mode, **rest)  # type: ignore[call-overload]

    async def main() -> bool:
        async with await PageStore.open(tmp_path / "s") as store:
            await store.write(0, b"cached")
            return store.direct

    monkeypatch.setattr(asyncuring, "open_file", without_direct)
    assert run_asyncio(main) is False
