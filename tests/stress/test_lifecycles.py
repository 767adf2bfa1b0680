"""Programs, loops, groups of tasks and files end with operations in flight: nothing is lost."""

from __future__ import annotations

import asyncio
import gc
import time
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.running import LOOPS, is_pinned
from tests.stress.leftovers import Belongings, check_nothing_is_left
from tests.stress.lives import (
    FILES,
    LIVES,
    SECONDS_MAX,
    Busy,
    busy_files,
)
from tests.stress.pages import BLOCKS, check_files, make_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from asyncuring._runtime import DriverName

RUNS, RUNS_RECORDED = 12, 504  # of three loops in turn, by each of two programs at once
JOBS = 2
OUTCOME = "0 hangs (slowest {:.2f} s), 0 crashes, 0 corrupted files, 0 acknowledged writes missing"


@pytest.fixture
def runs(recording: bool) -> int:
    return RUNS_RECORDED if recording else RUNS


# Five hundred interpreters, where attacks are recorded.
@pytest.mark.timeout(240)
@pytest.mark.parametrize("life", LIVES)
def test_an_interpreter_ends(
    life: str,
    driver: DriverName,
    runs: int,
    live_beside: Callable[..., dict[str, Any]],
    note_attack: Callable[..., None],
) -> None:
    seen = live_beside(life, runs // JOBS)
    assert seen["lives"] == dict.fromkeys(("asyncio", "uvloop", "trio"), runs // 3)
    assert seen["slowest"] < SECONDS_MAX
    outcome = OUTCOME.format(seen["slowest"])
    if LIVES[life][1] == 0:
        # All but those on trio, where a thread that runs on has them.
        assert seen["warned"] == 2 * runs // 3 * FILES
        outcome += f"; ResourceWarning in {2 * runs // 3} of {2 * runs // 3} that forgot files"
    note_attack(
        "lifecycle",
        f"an interpreter {life}, FIFO reads, direct reads and writes in flight",
        f"{driver}; asyncio, uvloop, trio",
        f"{runs} interpreters",
        outcome,
    )


@pytest.fixture
def live_beside(
    driver: DriverName, tmp_path: Path, run_programs: Callable[..., list[Any]]
) -> Callable[..., dict[str, Any]]:
    """Runs JOBS programs at once; returns all that they saw: so many runs of each."""

    def live(life: str, runs: int) -> dict[str, Any]:
        places = [tmp_path / str(job) for job in range(JOBS)]
        for place in places:
            place.mkdir()
        programs = [
            ["-m", "tests.stress.lives", life, driver, str(place), str(runs)] for place in places
        ]
        seen: dict[str, Any] = {"lives": Counter(), "slowest": 0.0, "warned": 0}
        for one in run_programs(programs):
            seen["lives"] += Counter(one["lives"])
            seen["slowest"] = max(seen["slowest"], one["slowest"])
            seen["warned"] += one["warned"]
        return seen

    return live


# -- what ends within a process that goes on


class GroupCrashError(Exception):
    """Raised beside operations in flight."""


def close_the_loop(loop: str, busy: Busy) -> int:
    """Of an asyncio loop that is closed all tasks are forgotten; a trio run has ended before."""
    if loop == "trio":
        return crash_the_group(loop, busy)
    event_loop = _started(loop, busy)
    event_loop.close()
    return len(busy.files)


def forget_the_files(loop: str, busy: Busy) -> int:
    """Nobody has the files any more, nor the tasks; their loop runs on for a while."""
    if loop == "trio":
        return crash_the_group(loop, busy)
    event_loop = _started(loop, busy)
    count = len(busy.files)
    busy.files.clear()
    gc.collect()
    event_loop.run_until_complete(asyncio.sleep(0))
    event_loop.close()
    return count


def crash_the_group(loop: str, busy: Busy) -> int:
    async def main() -> None:
        async with busy_files(busy):
            raise GroupCrashError

    # A nursery puts it into a group of exceptions.
    with pytest.raises(Exception, match=r"GroupCrashError|nursery|^$") as caught:
        LOOPS[loop](main)
    inner = getattr(caught.value, "exceptions", (caught.value,))
    assert [type(error) for error in inner] == [GroupCrashError]
    return 0


def _started(loop: str, busy: Busy) -> Any:
    """A loop that nobody runs any more, with all of it in flight."""
    if loop == "uvloop":
        import uvloop

        event_loop: Any = uvloop.new_event_loop()
    else:
        event_loop = asyncio.new_event_loop()

    def start_soon(function: Any, *arguments: Any) -> None:
        event_loop.create_task(function(*arguments))._log_destroy_pending = False

    event_loop.run_until_complete(busy.start(start_soon))
    return event_loop


ENDS = [close_the_loop, forget_the_files, crash_the_group]


@pytest.fixture
def quick_garbage() -> Iterator[None]:
    """Let collections, of which there are thousands, look at what the test makes alone."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("quick_garbage")
@pytest.mark.timeout(240)  # as above
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_a_part_of_a_process_ends(
    end: Callable[[str, Busy], int],
    driver: DriverName,
    tmp_path: Path,
    runs: int,
    note_attack: Callable[..., None],
) -> None:
    make_files(tmp_path)
    slowest, warned = 0.0, 0
    before = Belongings.of_now()
    for number in range(runs):
        loop = ("asyncio", "uvloop", "trio")[number % 3]
        try:
            seconds, forgotten = _end(end, loop, driver, tmp_path, before)
        except BaseException:  # that of a timeout, too
            print(f"This was time {number} of {runs}, on {loop}.")  # noqa: T201  for who reads it
            raise
        slowest = max(slowest, seconds)
        warned += forgotten
    assert slowest < SECONDS_MAX
    note_attack(
        "lifecycle",
        f"{end.__name__.replace('_', ' ')}: FIFO reads, direct reads and writes in flight",
        f"{driver}; asyncio, uvloop, trio",
        f"{runs} times",
        f"{OUTCOME.format(slowest)}; 0 pins, descriptors, threads left; a ResourceWarning for each "
        f"of {warned} files that were forgotten",
    )


def _end(
    end: Callable[[str, Busy], int],
    loop: str,
    driver: DriverName,
    folder: Path,
    before: Belongings,
) -> tuple[float, int]:
    """Once; returns how many seconds that took, and of how many files it was warned."""
    acknowledged = bytearray(BLOCKS)
    busy = Busy(driver, folder, acknowledged)
    begin = time.monotonic()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        forgotten = end(loop, busy)
        buffers = busy.buffers
        del busy
        check_nothing_is_left(before)
    seconds = time.monotonic() - begin
    texts = [str(w.message) for w in caught if issubclass(w.category, ResourceWarning)]
    assert len([text for text in texts if "unclosed file" in text]) == forgotten, texts
    assert not any(map(is_pinned, buffers))
    check_files(folder, bytes(acknowledged))
    return seconds, forgotten
