"""What a power cut leaves of what a program did on a simulated disk."""

from __future__ import annotations

import errno
import mmap
import os
from contextlib import closing, suppress
from typing import Any

import pytest

import asyncuring
from asyncuring.testing import CrashState, SimulatedDisk
from tests.held import in_flight
from tests.running import LOOPS, Task, checkpoint, is_pinned
from tests.testing.disks import contents, open_on

run = LOOPS["asyncio"]
OLD, NEW = b"o" * 1200, b"n" * 1200


async def keep(disk: SimulatedDisk, name: str, content: bytes) -> None:
    """Make a file durable, and its name."""
    async with await open_on(disk, name) as file:
        await file.write_all_at(content, 0)
        await file.fdatasync()
    await asyncuring.sync_directory(disk.path, driver=disk)


def left(disk: SimulatedDisk, name: str, limit: int = 200) -> set[bytes | None]:
    """What a file may hold after a power cut; None: there is none of that name."""
    return {_read(state, name) for state in disk.crash_states(limit)}


def _read(state: CrashState, name: str) -> bytes | None:
    return state.read(name) if name in state.names else None


def test_what_was_synced_is_there(disk: SimulatedDisk) -> None:
    run(keep, disk, "a", NEW)
    assert left(disk, "a") == {NEW}


@pytest.mark.parametrize("sync", ["fsync", "fdatasync"])
def test_what_was_overwritten_is_old_or_new_in_each_sector_until_synced(
    disk: SimulatedDisk, sync: str
) -> None:
    async def main(*, synced: bool) -> None:
        await keep(disk, "a", OLD)
        async with await open_on(disk, "a", "r+") as file:
            await file.write_all_at(NEW, 0)
            if synced:
                await getattr(file, sync)()

    run(lambda: main(synced=True))
    with disk.crash() as restarted:
        assert contents(restarted.path) == {"a": NEW}
    with SimulatedDisk() as second:
        disk = second
        run(lambda: main(synced=False))
        mixtures = {
            (first * 512 + second * 512 + third * 176)
            for first in (b"o", b"n")
            for second in (b"o", b"n")
            for third in (b"o", b"n")
        }
        assert left(disk, "a") == mixtures


def test_a_durable_write_is_there(disk: SimulatedDisk) -> None:
    async def main() -> None:
        await keep(disk, "a", OLD)
        async with await open_on(disk, "a", "r+") as file:
            await file.write_at(NEW, 0, durable=True)

    run(main)
    assert left(disk, "a") == {NEW}


def test_neither_direct_writes_nor_sync_range_are_durable(disk: SimulatedDisk) -> None:
    async def main() -> None:
        await keep(disk, "a", OLD)
        async with await open_on(disk, "a", "r+", direct=True) as file:
            with closing(mmap.mmap(-1, 4096)) as page:
                page.write(b"n" * 4096)
                await file.write_all_at(page, 0)
            await file.sync_range()

    run(main)
    assert {OLD, b"n" * 4096} < left(disk, "a")


def test_a_sync_covers_nothing_that_was_written_after_it_began(disk: SimulatedDisk) -> None:
    disk.delay("fdatasync", seconds=0.01)

    async def main() -> None:
        await keep(disk, "a", OLD)
        async with await open_on(disk, "a", "r+") as file:
            syncing = await in_flight(file.fdatasync)
            await file.write_all_at(NEW, 0)
            await syncing.join()

    run(main)
    assert {OLD, NEW} < left(disk, "a")


def test_the_name_of_a_new_file_takes_a_sync_of_its_directory(disk: SimulatedDisk) -> None:
    async def main() -> None:
        async with await open_on(disk, "a") as file:
            await file.write_all_at(NEW, 0)
            await file.fsync()

    run(main)
    assert left(disk, "a") == {NEW, None}


def test_a_replaced_file_is_the_old_one_or_the_new_one_at_any_moment() -> None:
    async def main(disk: SimulatedDisk) -> None:
        await asyncuring.replace_file(disk.path / "a", NEW, driver=disk)

    found = set()
    for operation in range(1, 20):
        with SimulatedDisk() as disk:
            run(keep, disk, "a", OLD)
            disk.cut_power_at(disk.operations + operation)
            with suppress(OSError):
                run(main, disk)
            if not disk.is_dead:
                assert left(disk, "a") == {NEW}
                break
            assert disk.trace[-1].fault == "power cut"
            found |= left(disk, "a")
    assert operation > 5
    assert found == {OLD, NEW}


def test_a_file_that_was_renamed_before_it_was_synced_may_be_empty(disk: SimulatedDisk) -> None:
    async def main() -> None:
        await keep(disk, "a", OLD)
        async with await open_on(disk, "b") as file:
            await file.write_all_at(NEW, 0)
        await asyncuring.rename(disk.path / "b", disk.path / "a", driver=disk)
        await asyncuring.sync_directory(disk.path, driver=disk)

    run(main)
    assert {b"", NEW} < left(disk, "a")
    assert OLD not in left(disk, "a")


def test_directories_links_and_symbolic_links(disk: SimulatedDisk) -> None:
    async def main() -> None:
        folder = disk.path / "folder"
        await asyncuring.mkdir(folder, driver=disk)
        await keep(disk, "folder/a", OLD)
        await asyncuring.link(folder / "a", folder / "b", driver=disk)
        await asyncuring.symlink("a", folder / "c", driver=disk)
        await asyncuring.sync_directory(folder, driver=disk)
        await asyncuring.unlink(folder / "a", driver=disk)

    run(main)
    states = list(disk.crash_states())
    with_all = ("folder", "folder/a", "folder/b", "folder/c")
    without_a = ("folder", "folder/b", "folder/c")
    assert {state.names for state in states} == {with_all, without_a}
    next(state for state in states if state.names == with_all).restore()
    folder = disk.path / "folder"
    assert (folder / "a").samefile(folder / "b")
    assert (folder / "c").readlink().name == "a"


def test_room_and_moves_within_a_file(disk: SimulatedDisk) -> None:
    async def main() -> None:
        await keep(disk, "a", OLD)
        async with await open_on(disk, "a", "r+") as file:
            await file.truncate(100)
            await file.allocate(0, 200)
            await file.punch_hole(10, 20)

    run(main)
    kept = OLD[:10] + bytes(20) + OLD[30:100] + bytes(100)
    assert {OLD, OLD[:100], kept} <= left(disk, "a")
    assert contents(disk.path) == {"a": kept}


def test_what_a_file_held_before_is_durable(disk: SimulatedDisk) -> None:
    (disk.path / "a").write_bytes(OLD)
    (disk.path / "b").write_bytes(b"")

    async def main() -> None:
        async with await open_on(disk, "a", "w+") as file:
            await file.write_all_at(NEW, 0)
        await asyncuring.unlink(disk.path / "b", driver=disk)

    run(main)
    assert {OLD, b"", NEW} <= left(disk, "a")
    assert left(disk, "b") == {b"", None}


def test_the_power_cut_leaves_one_of_the_states() -> None:
    outcomes = set()
    for seed in range(20):
        with SimulatedDisk(seed) as disk:
            run(_overwrite, disk)
            states = {state.read("a") for state in disk.crash_states()}
            with disk.crash() as restarted:
                content = contents(restarted.path)["a"]
            assert content in states
            outcomes.add(content)
    assert len(outcomes) > 3


async def _overwrite(disk: SimulatedDisk) -> None:
    await keep(disk, "a", OLD)
    async with await open_on(disk, "a", "r+") as file:
        await file.write_all_at(NEW, 0)


def test_the_states_are_the_same_each_time_and_each_comes_once(disk: SimulatedDisk) -> None:
    run(_overwrite, disk)
    first = [(state.description, state.read("a")) for state in disk.crash_states()]
    assert first == [(state.description, state.read("a")) for state in disk.crash_states()]
    assert len({content for _, content in first}) == len(first) == 8
    assert len(list(disk.crash_states(limit=3))) == 3
    assert first[0][1] == OLD
    assert first[1][1] == NEW


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_without_power_every_operation_fails_and_files_can_be_closed(
    disk: SimulatedDisk, loop: str
) -> None:
    os.mkfifo(disk.path / "fifo")
    disk.delay("fsync", seconds=3600)

    async def main() -> None:
        async with (
            await open_on(disk, "a") as file,
            await open_on(disk, "fifo", "r+", cached_reads="ring") as stream,
        ):
            buf = bytearray(1)
            tasks: list[Task[Any]] = [await in_flight(file.fsync)]
            tasks.append(Task.start(stream.read_at, buf, 0))
            while asyncuring.statistics().in_flight < 2:
                await checkpoint()
            disk.crash()
            for task in tasks:
                with pytest.raises(OSError, match="Input/output") as caught:
                    await task.join()
                assert caught.value.errno == errno.EIO
            assert not is_pinned(buf)
            with pytest.raises(OSError, match="Input/output"):
                await file.write_at(b"more", 0)
        with pytest.raises(OSError, match="Input/output"):
            await open_on(disk, "b")

    LOOPS[loop](main)
    assert disk.is_dead


def test_without_power_no_buffer_is_kept(disk: SimulatedDisk) -> None:
    """Else a pool waits for ever for what an operation has that is long done."""

    async def main() -> None:
        async with await open_on(disk, "a") as file:
            disk.crash()
            buf = bytearray(10)
            with pytest.raises(OSError, match="Input/output"):
                await file.write_at(buf, 0)
            assert not is_pinned(buf)

    run(main)


def test_a_disk_goes_on_after_its_restart(disk: SimulatedDisk) -> None:
    run(keep, disk, "a", OLD)
    restarted = disk.crash()
    run(keep, restarted, "b", NEW)
    assert contents(disk.path) == {"a": OLD, "b": NEW}
    assert left(restarted, "a") == {OLD}
    assert left(restarted, "b") == {NEW}


def test_a_state_that_was_restored_is_what_the_next_disk_begins_with(disk: SimulatedDisk) -> None:
    run(_overwrite, disk)
    for state in disk.crash_states():
        state.restore()
        assert contents(disk.path) == {"a": state.read("a")}
        assert left(disk.restart(), "a") == {state.read("a")}


def test_a_disk_with_power_cannot_be_restarted(disk: SimulatedDisk) -> None:
    with pytest.raises(RuntimeError, match="the power is not cut"):
        disk.restart()


def test_a_state_has_no_other_files(disk: SimulatedDisk) -> None:
    run(keep, disk, "a", OLD)
    (state,) = disk.crash_states()
    with pytest.raises(FileNotFoundError, match="no file 'b'"):
        state.read("b")
    assert "everything lost" in repr(state)


def test_a_folder_of_its_own_goes_with_the_disk() -> None:
    with SimulatedDisk() as disk:
        run(keep, disk, "a", OLD)
        path = disk.path
    assert not path.exists()
