"""The whole system is out of open files (ENFILE): fs.file-max is 0, which holds for all but root.

What needs a new file fails with that error, and nothing else does: files that are open serve as
they did. That each of a driver's calls can fail so is in `test_each_call_fails.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.stress.attempts import DRIVERS, LOOPS_TRIED, Outcome, attempts_after
from tests.stress.sysctls import put_back

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SYSCTL = Path("/proc/sys/fs/file-max")

pytestmark = pytest.mark.usefixtures("uring")

# The process changes between root, who may write the sysctl, and somebody whom it holds for; what a
# driver starts is always the latter's. Each time for some milliseconds.
NONE_LEFT = f"""
import faulthandler
from contextlib import contextmanager
from pathlib import Path
from tests.running import CancelledTaskError, Task, until_in_flight
from asyncuring import DriverUnavailableError
from tests.stress.attempts import FOLDER, work

NOBODY = 65534
SYSCTL = Path({str(SYSCTL)!r})
os.setgroups([])
os.setresgid(NOBODY, NOBODY, NOBODY)
os.seteuid(NOBODY)

def write(limit):
    os.seteuid(0)
    SYSCTL.write_text(limit)
    os.seteuid(NOBODY)

@contextmanager
def none_left():
    before = SYSCTL.read_text()
    write("0")
    try:
        yield
    finally:
        write(before)

async def opened(name, path):
    try:
        async with await asyncuring.open_file(path, driver=name):
            return "opened"
    except DriverUnavailableError as error:
        assert error.remedy in str(error)
        return [errno.errorcode[error.errno], error.cause, error.remedy]
    except OSError as error:
        return [errno.errorcode[error.errno], error.filename]

async def with_one_open(name):
    file, fifo = (FOLDER / f"asyncuring-none-left-{{os.getpid()}}-{{i}}" for i in range(2))
    os.mkfifo(fifo)
    try:
        async with (
            await asyncuring.open_file(file, "w+", driver=name, cached_reads="ring") as uring_file,
            await asyncuring.open_file(fifo, "r+", driver=name, cached_reads="ring") as stream,
        ):
            await work(uring_file)
            buffer, cancelled = bytearray(1), Task.start(stream.read_at, bytearray(1), 0)
            await until_in_flight(1)
            before = sorted(os.listdir("/proc/self/fd"))
            with none_left():
                try:
                    outcomes = {{other: await opened(other, str(file)) for other in DRIVERS}}
                    await work(uring_file)
                finally:
                    cancelled.cancel()
                try:
                    await cancelled.join()
                except CancelledTaskError:
                    outcomes["cancelled"] = True
                waiting = Task.start(stream.read_at, buffer, 0)
                await stream.write_all_at(b"!", 0)
                assert await waiting.join() == 1 and buffer == b"!"
            assert sorted(os.listdir("/proc/self/fd")) == before
            for other in DRIVERS:
                assert await opened(other, str(file)) == "opened"
        return outcomes
    finally:
        file.unlink()
        fifo.unlink()

async def main():
    faulthandler.dump_traceback_later(SECONDS_MAX, exit=True)
    outcomes = {{name: await with_one_open(name) for name in DRIVERS}}
    with none_left():
        outcomes[None] = await opened(None, os.devnull)
    return outcomes
"""


@pytest.fixture
def file_max() -> Iterator[None]:
    with put_back(SYSCTL, "limit the system's files"):  # if the program cannot
        yield


@pytest.mark.usefixtures("file_max")
def test_a_system_without_files_left(note_attack: Callable[..., None]) -> None:
    for by_driver in attempts_after(NONE_LEFT):
        for name in DRIVERS:
            outcomes: Outcome = dict(by_driver[name])
            assert outcomes.pop("cancelled")
            of_open = outcomes.pop(name)
            assert of_open[0] == "ENFILE"
            assert "asyncuring-none-left" in of_open[1]
            for other, (number, *told) in outcomes.items():
                assert number == "ENFILE", (name, other)
                if other != "threads":
                    cause, remedy = told
                    assert cause == "the process or the system is out of file descriptors"
                    assert "fs.file-max" in remedy
        number, *_ = by_driver[None]
        assert number == "ENFILE"
    note_attack(
        "hostile system",
        "fs.file-max is 0, not as root (ENFILE)",
        "each driver and none, asyncio and trio",
        f"{len(LOOPS_TRIED) * (len(DRIVERS) ** 2 + 1)} files to open, half of them with a new "
        f"driver; {len(LOOPS_TRIED) * len(DRIVERS)} files that were open before",
        "ENFILE from these opens alone; all else served; no descriptor left, all well afterwards",
    )
