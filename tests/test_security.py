"""What other programs, other users and the log get to see of us: nothing that was not asked for."""

from __future__ import annotations

import errno
import logging
import os
import stat
import subprocess
import traceback
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

import asyncuring
from asyncuring import log_slow_ops, open_file, replace_file, sync_directory
from tests.conftest import descriptors
from tests.running import Task, checkpoint, run_asyncio, under_umask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import AsyncFunction, Run

SECRET = b"correct horse battery staple"
# Ops of replace_file: open, open, write, fdatasync, close, rename, fsync, close.
REPLACING_STEPS = range(1, 9)


async def stopped_after(
    steps: int, driver: DriverName, function: AsyncFunction[None]
) -> Task[None]:
    """Start a task, and return when it has submitted so many ops, the last perhaps under way."""
    goal = asyncuring.statistics().ops_submitted + steps
    task = Task.start(function)
    while asyncuring.statistics().ops_submitted < goal and not task.done:
        await checkpoint()
    assert asyncuring.statistics().drivers[0].driver == driver
    return task


def opened(kind: str = "open") -> int:
    """How many operations of a kind are done or under way."""
    now = asyncuring.statistics()
    return sum(
        one.count + one.in_flight
        for driver in now.drivers
        for one in driver.operations
        if one.opcode == kind
    )


# -- descriptors


def inherited() -> set[str]:
    """The descriptors that a program has which is started now, without those that it opens."""
    command = ["find", "/proc/self/fd", "-type", "l", "-printf", "%f %l\\n"]
    listed = subprocess.run(command, close_fds=False, stdout=subprocess.PIPE, text=True, check=True)
    pairs = [line.split(" ", 1) for line in listed.stdout.splitlines()]
    return {fd for fd, target in pairs if not target.startswith("/proc/")}


def test_what_is_inheritable_is_seen() -> None:
    before = inherited()
    fd = os.open(os.devnull, os.O_RDONLY)
    try:
        assert str(fd) not in inherited()
        os.set_inheritable(fd, True)
        assert inherited() - before == {str(fd)}
    finally:
        os.close(fd)


@asynccontextmanager
async def everything(driver: DriverName, file: Path) -> AsyncIterator[None]:
    """Have all that has descriptors: the driver, its threads, a port, registered memory, files."""
    async with (
        await open_file(file, "r+", driver=driver, cached_reads="ring") as uring_file,
        await open_file(file, "a", driver=driver),
    ):
        with asyncuring.BufferPool(4096, 4) as pool, await pool.acquire() as buffer:
            await uring_file.read_at(buffer, 0)
        await uring_file.stat()
        await uring_file.write_at(b"written", 0)
        async with uring_file.chain() as chain:
            chain.write_all_at(b"chained", 0)
            chain.fdatasync()
        yield


def test_no_descriptor_is_inherited(driver: DriverName, file: Path) -> None:
    before, own = inherited(), descriptors()

    async def main() -> None:
        async with everything(driver, file):
            assert len(descriptors() - own) >= 4
            assert inherited() <= before

    run_asyncio(main)


@pytest.mark.parametrize("call", ["replace_file", "sync_directory"])
def test_no_descriptor_is_inherited_meanwhile(
    driver: DriverName, tmp_path: Path, call: str
) -> None:
    before = inherited()

    async def change() -> None:
        if call == "replace_file":
            await replace_file(tmp_path / "file", SECRET, driver=driver)
        else:
            await sync_directory(tmp_path, driver=driver)

    async def main() -> None:
        async with await open_file(os.devnull, driver=driver):
            for steps in REPLACING_STEPS:
                changing = await stopped_after(steps, driver, change)
                assert inherited() <= before
                await changing.join()

    run_asyncio(main)


# -- paths


def test_each_path_is_opened_once(run: Run, driver: DriverName, file: Path) -> None:
    """What is decided of a file is decided of its descriptor, and no name is looked up again."""

    async def main() -> None:
        async with await open_file(os.devnull, driver=driver):
            before = opened()
            for mode in ("r", "r+", "a", "a+", "w+"):
                async with await open_file(file, mode, driver=driver) as uring_file:
                    await uring_file.stat()
            assert opened() - before == 5
            await replace_file(file, SECRET, driver=driver)
            assert opened() - before == 7  # the directory, and the temporary file
            await sync_directory(file.parent, driver=driver)
            assert opened() - before == 8

    run(main)


def test_a_link_swapped_in_leads_nowhere(driver: DriverName, tmp_path: Path) -> None:
    """At each op of the replacement, the file becomes a link to another one."""
    directory = tmp_path / "directory"
    directory.mkdir()
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    path = directory / "file"

    async def replace() -> None:
        await replace_file(path, SECRET, driver=driver)

    async def main() -> None:
        async with await open_file(os.devnull, driver=driver):
            for steps in REPLACING_STEPS:
                replacing = await stopped_after(steps, driver, replace)
                path.unlink(missing_ok=True)
                path.symlink_to(victim)
                await replacing.join()
                assert path.is_symlink() or path.read_bytes() == SECRET
                assert victim.read_bytes() == b"untouched"

    run_asyncio(main)


# -- permissions


@pytest.mark.parametrize("umask", [0, 0o022, 0o027, 0o077, 0o777])
def test_files_have_the_asked_permissions_under_any_umask(
    driver: DriverName, tmp_path: Path, umask: int
) -> None:
    """The driver runs before the umask changes: its threads and workers have the new one, too."""

    async def main() -> None:
        async with await open_file(os.devnull, driver=driver):
            with under_umask(umask):
                for asked in (0o666, 0o600, 0o640, 0o755):
                    path = tmp_path / f"{asked:o}"
                    async with await open_file(path, "x+", permissions=asked, driver=driver):
                        assert stat.S_IMODE(path.stat().st_mode) == asked & ~umask
                    await replace_file(path, SECRET, permissions=asked, driver=driver)
                    assert stat.S_IMODE(path.stat().st_mode) == asked & ~umask

    run_asyncio(main)


def test_a_temporary_file_is_never_more_open_and_its_name_cannot_be_guessed(
    driver: DriverName, tmp_path: Path
) -> None:
    names: set[str] = set()

    async def replace() -> None:
        await replace_file(tmp_path / "file", SECRET, permissions=0o600, driver=driver)

    async def main() -> None:
        async with await open_file(os.devnull, driver=driver):
            for steps in REPLACING_STEPS:
                replacing = await stopped_after(steps, driver, replace)
                for entry in os.scandir(tmp_path):
                    assert stat.S_IMODE(entry.stat().st_mode) == 0o600
                    names.add(entry.name)
                await replacing.join()

    run_asyncio(main)
    temporary = names - {"file"}
    assert len(temporary) >= 2, "each has a name of its own"
    assert all(len(name) == len(".asyncuring-") + 16 for name in temporary)


# -- contents


async def provoke(driver: DriverName, directory: Path) -> list[str]:
    """Everything that says something, around buffers that hold a secret; what was said."""
    said: list[str] = []
    path = directory / "file"
    buffer = bytearray(SECRET * 10)

    async def failing(awaitable: object) -> None:
        try:
            await awaitable  # type: ignore[misc]
        except (OSError, EOFError, TypeError, ValueError, BufferError) as error:
            said.extend([repr(error), *traceback.format_exception(error)])
        else:
            pytest.fail("it was to fail")

    async with await open_file(path, "w+", driver=driver, cached_reads="ring") as uring_file:
        await uring_file.write_all_at(buffer, 0)
        await uring_file.read_exactly_at(buffer, 0)
        await failing(uring_file.read_exactly_at(buffer, 10))
        await failing(uring_file.write_at(buffer, -1))
        await failing(uring_file.write_at(SECRET.decode(), 0))  # type: ignore[arg-type]
        await failing(uring_file.read_at(SECRET, 0))
        await failing(uring_file.writev_at([buffer, SECRET.decode()], 0))  # type: ignore[list-item]
        chain = uring_file.chain()
        async with chain:
            chain.write_all_at(buffer, 0)
        said.extend([repr(uring_file), repr(chain), repr(chain.steps)])
        async with await open_file(path, driver=driver) as read_only:
            await failing(read_only.write_at(buffer, 0))
        with asyncuring.BufferPool(4096, 4) as pool, await pool.acquire() as pooled:
            await uring_file.read_at(pooled, 0)
            said.extend([repr(pool), repr(pooled), str(pool.statistics())])
        now = asyncuring.statistics()
        said.extend([repr(now), str(now), repr(uring_file)])
    await failing(uring_file.write_at(buffer, 0))
    await failing(replace_file(directory / "missing" / "file", buffer, driver=driver))
    await replace_file(path, buffer, driver=driver)
    return said


def test_no_content_of_buffers_is_said_anywhere(
    driver: DriverName,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    log_slow_ops(0)
    try:
        said = run_asyncio(provoke, driver, tmp_path)
    finally:
        log_slow_ops(None)
    output = capfd.readouterr()
    assert caplog.records, "slow operations were to be logged"
    everything_said = "\n".join([*said, caplog.text, output.out, output.err])
    assert os.strerror(errno.EBADF) in everything_said
    for word in (*SECRET.decode().split(), SECRET.hex()):
        assert word not in everything_said
