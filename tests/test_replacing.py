"""`replace_file`: the old content or the new, and nothing else in the directory."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import asyncuring
from asyncuring import open_file, replace_file
from tests.running import (
    LOOKS_MAX,
    CancelledTaskError,
    Task,
    checkpoint,
    gather,
    is_pinned,
    under_umask,
    until,
)
from tests.scripts import output_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run

OLD, NEW = b"old " * 1000, b"new content " * 50_000


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with one file in it, whose content is OLD."""
    path = tmp_path / "directory"
    path.mkdir()
    (path / "file").write_bytes(OLD)
    return path


def names_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


DATA: dict[str, Any] = {
    "bytes": NEW,
    "nothing": b"",
    "bytearray": bytearray(NEW),
    "memoryview": memoryview(NEW)[100:-100],
    "numpy": np.arange(10_000, dtype=np.float64).reshape(100, 100),
}


@pytest.mark.parametrize("kind", list(DATA))
@pytest.mark.parametrize("name", ["file", "new"])
def test_a_file_has_the_new_content(
    run: Run, driver: DriverName, directory: Path, kind: str, name: str
) -> None:
    async def main() -> None:
        await replace_file(directory / name, DATA[kind], driver=driver)

    run(main)
    assert (directory / name).read_bytes() == memoryview(DATA[kind]).tobytes()
    assert names_in(directory) == {"file", name}


def test_whoever_has_the_old_file_keeps_it(run: Run, driver: DriverName, directory: Path) -> None:
    path = directory / "file"
    os.link(path, directory / "other name")

    async def main() -> None:
        async with await open_file(path, driver=driver) as uring_file:
            await replace_file(path, NEW, driver=driver)
            buf = bytearray(len(OLD))
            await uring_file.read_exactly_at(buf, 0)
            assert buf == OLD

    run(main)
    assert (directory / "other name").read_bytes() == OLD
    assert path.read_bytes() == NEW


def test_a_symbolic_link_is_replaced_itself(run: Run, driver: DriverName, directory: Path) -> None:
    (directory / "link").symlink_to("file")

    async def main() -> None:
        await replace_file(directory / "link", NEW, driver=driver)

    run(main)
    assert not (directory / "link").is_symlink()
    assert (directory / "file").read_bytes() == OLD


@pytest.mark.parametrize("modes", [(0o666, 0o022, 0o644), (0o640, 0, 0o640), (0o400, 0, 0o400)])
def test_permissions_are_less_the_umask(
    run: Run, driver: DriverName, directory: Path, modes: tuple[int, int, int]
) -> None:
    asked, umask, got = modes

    async def main() -> None:
        await replace_file(directory / "file", NEW, permissions=asked, driver=driver)

    with under_umask(umask):
        run(main)
    assert stat.S_IMODE((directory / "file").stat().st_mode) == got


@pytest.mark.parametrize("kind", ["str", "bytes", "relative", "longest"])
def test_any_path_will_do(
    run: Run, driver: DriverName, directory: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(directory)
    name = "n" * 255 if kind == "longest" else "file"
    paths: dict[str, Any] = {"bytes": os.fsencode(directory / name), "relative": name}

    async def main() -> None:
        await replace_file(paths.get(kind, str(directory / name)), NEW, driver=driver)

    run(main)
    assert (directory / name).read_bytes() == NEW


def test_a_directory_that_moves_meanwhile_is_still_the_one(
    run: Run, driver: DriverName, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each op but the first: the current directory becomes another one."""
    elsewhere = directory.parent / "elsewhere"
    elsewhere.mkdir()

    async def main() -> None:
        for steps in range(2, 9):  # once the directory is open
            (directory / "file").write_bytes(OLD)
            monkeypatch.chdir(directory)
            async with await open_file(os.devnull, driver=driver):
                goal = asyncuring.statistics().ops_submitted + steps
                replacing = Task.start(replace)
                while asyncuring.statistics().ops_submitted < goal:
                    await checkpoint()
                os.chdir(elsewhere)
                await replacing.join()
            assert (directory / "file").read_bytes() == NEW
        assert names_in(elsewhere) == set()

    async def replace() -> None:
        await replace_file("file", NEW, driver=driver)

    run(main)


def test_replacements_at_once_leave_one_of_them(
    run: Run, driver: DriverName, directory: Path
) -> None:
    async def replace(number: int) -> None:
        await replace_file(directory / "file", bytes([number]) * 10_000, driver=driver)

    async def main() -> None:
        await gather(replace, 50)

    run(main)
    content = (directory / "file").read_bytes()
    assert content == bytes([content[0]]) * 10_000
    assert names_in(directory) == {"file"}


# -- errors


CANNOT_BE_REPLACED: list[tuple[str, int]] = [
    ("missing/file", errno.ENOENT),
    ("file/below", errno.ENOTDIR),
    ("folder", errno.EISDIR),
    ("folder/", errno.EISDIR),
    ("folder/.", errno.EBUSY),
    ("n" * 256, errno.ENAMETOOLONG),
]


@pytest.mark.parametrize("case", CANNOT_BE_REPLACED, ids=lambda case: str(case[0][:20]))
def test_what_cannot_be_replaced_is_as_it_was(
    run: Run, driver: DriverName, directory: Path, case: tuple[str, int]
) -> None:
    name, number = case
    path = f"{directory}/{name}"
    (directory / "folder").mkdir()

    async def main() -> None:
        with pytest.raises(OSError, match=f"Errno {number}") as caught:
            await replace_file(path, NEW, driver=driver)
        assert (caught.value.errno, caught.value.filename) == (number, path)

    run(main)
    assert names_in(directory) == {"file", "folder"}
    assert names_in(directory / "folder") == set()
    assert (directory / "file").read_bytes() == OLD


def test_the_empty_path_is_no_file(run: Run, driver: DriverName) -> None:
    async def main() -> None:
        with pytest.raises(FileNotFoundError):
            await replace_file("", NEW, driver=driver)

    run(main)


def test_arguments_that_cannot_be_used_change_nothing(run: Run, directory: Path) -> None:
    text: Any = "text"
    strided = memoryview(NEW)[::2]

    async def main() -> None:
        with pytest.raises(TypeError, match="a buffer"):
            await replace_file(directory / "file", text)
        with pytest.raises(BufferError, match="not C-contiguous"):
            await replace_file(directory / "file", strided)
        with pytest.raises(ValueError, match="permissions must be"):
            await replace_file(directory / "file", NEW, permissions=-1)
        with pytest.raises(ValueError, match="embedded null byte"):
            await replace_file(f"{directory}/fi\0le", NEW)

    run(main)
    assert names_in(directory) == {"file"}
    assert (directory / "file").read_bytes() == OLD


def test_a_write_that_fails_leaves_the_old_file(driver: DriverName, directory: Path) -> None:
    """Above the limit on a file's size write(2) stops short first, then fails."""
    said = output_of(
        """
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        async def main():
            try:
                await asyncuring.replace_file(path, bytes(200_000), driver=driver)
            except OSError as error:
                print(error.errno, error.filename == path)
        asyncio.run(main())
        # What measures coverage has files to write, too.
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        """,
        driver,
        directory / "file",
    )
    assert said == f"{errno.EFBIG} True\n"
    assert names_in(directory) == {"file"}
    assert (directory / "file").read_bytes() == OLD


@pytest.fixture
def append_only(directory: Path) -> Iterator[Path]:
    """A directory in which names can be made, and not removed."""
    try:
        made = subprocess.run(["chattr", "+a", directory], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("chattr is not installed")
    if made.returncode != 0:
        pytest.skip(f"no directory can be made append-only here: {made.stderr.decode().strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["chattr", "-a", directory], check=True)


def test_a_temporary_file_that_cannot_be_removed_is_named(
    run: Run, driver: DriverName, append_only: Path
) -> None:
    async def main() -> None:
        with pytest.raises(PermissionError) as caught:
            await replace_file(append_only / "file", NEW, driver=driver)
        (left,) = names_in(append_only) - {"file"}
        assert left.startswith(".asyncuring-")
        assert os.fsdecode(caught.value.filename) == str(append_only / left)
        first = caught.value.__context__
        assert isinstance(first, PermissionError)
        assert first.filename == str(append_only / "file")

    run(main)
    assert (append_only / "file").read_bytes() == OLD


# -- cancelling


def check_old_or_new(directory: Path) -> bool:
    """Look for a mixture or leftovers; returns whether the content is the new one."""
    content = (directory / "file").read_bytes()
    assert content in (OLD, NEW)
    assert names_in(directory) == {"file"}
    return content == NEW


# A replacement is 8 ops, of which the last can still be cancelled.
OPS_MAX = 12


def test_a_replacement_cancelled_at_any_op_leaves_old_or_new(
    run: Run, driver: DriverName, directory: Path
) -> None:
    ends: list[tuple[bool, bool]] = []

    async def main() -> None:
        data = bytearray(NEW)
        async with await open_file(os.devnull, driver=driver):
            for ops in range(OPS_MAX):
                (directory / "file").write_bytes(OLD)
                goal = asyncuring.statistics().ops_submitted + ops
                replacing = Task.start(replace, data)
                while not replacing.done and asyncuring.statistics().ops_submitted < goal:
                    await checkpoint()
                replacing.cancel()
                try:
                    await replacing.join()
                except CancelledTaskError:
                    ends.append((True, check_old_or_new(directory)))
                else:
                    ends.append((False, check_old_or_new(directory)))
                assert not is_pinned(data)
                assert asyncuring.statistics().in_flight == 0

    async def replace(data: bytearray) -> None:
        await replace_file(directory / "file", data, driver=driver)

    run(main)
    assert (True, False) in ends
    assert ends[-1] == (False, True)
    assert (False, False) not in ends


def test_further_cancels_do_not_stop_the_clearing_up(
    run: Run, driver: DriverName, directory: Path
) -> None:
    async def main() -> None:
        async with await open_file(os.devnull, driver=driver):
            for ops in range(OPS_MAX):
                (directory / "file").write_bytes(OLD)
                goal = asyncuring.statistics().ops_submitted + ops
                replacing = Task.start(replace)
                while not replacing.done:
                    if asyncuring.statistics().ops_submitted >= goal:
                        replacing.cancel()
                    await checkpoint()
                with suppress(CancelledTaskError):
                    await replacing.join()
                check_old_or_new(directory)

    async def replace() -> None:
        await replace_file(directory / "file", NEW, driver=driver)

    run(main)


async def step_until(coroutine: Any, goal: int) -> None:
    """Run a coroutine, as a part of the running asyncio task, until `goal` ops are submitted."""
    waited = coroutine.send(None)
    while asyncuring.statistics().ops_submitted < goal:
        if waited.done():
            waited = coroutine.send(None)
        await checkpoint()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("ops", range(9))
def test_a_task_destroyed_half_way_leaves_old_or_new(
    run: Run, driver: DriverName, directory: Path, ops: int
) -> None:
    """Nobody can wait for the op under way; when it is done, its traces are removed."""

    async def main() -> None:
        async with await open_file(os.devnull, driver=driver):
            replacing = replace_file(directory / "file", NEW, driver=driver)
            await step_until(replacing, asyncuring.statistics().ops_submitted + ops)
            replacing.close()
            await until(lambda: asyncuring.statistics().in_flight == 0)
        check_old_or_new(directory)

    run(main)


@pytest.mark.parametrize("ops", range(9))
def test_a_loop_closed_half_way_leaves_old_or_new(
    driver: DriverName, directory: Path, ops: int
) -> None:
    loop = asyncio.new_event_loop()
    replacing = replace_file(directory / "file", NEW, driver=driver)
    loop.run_until_complete(step_until(replacing, ops))
    loop.close()
    replacing.close()
    assert any(asyncuring.statistics().drivers == () for _ in range(LOOKS_MAX))
    check_old_or_new(directory)
