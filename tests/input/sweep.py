"""Many calls in one event loop, on files in memory and within bounds that keep them small."""

from __future__ import annotations

import asyncio
import os
import resource
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asyncuring import open_file
from tests.input.attempt import attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from asyncuring._runtime import DriverName
    from tests.input.surface import Target
    from tests.input.values import Make

    Case = tuple[Target, Mapping[str, Make], bool]

MEMORY = Path("/dev/shm")

# No file grows beyond this, and the process by no more than that.
FILE_MAX = 1024 * 1024
GROWTH_MAX = 4 * 1024 * 1024 * 1024


@contextmanager
def _limited(which: int, most: int) -> Iterator[None]:
    before = resource.getrlimit(which)
    resource.setrlimit(which, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(which, before)


@contextmanager
def bounds(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a directory in memory, which is the current one; the process cannot ask for too much."""
    if not os.access(MEMORY, os.W_OK):
        pytest.skip(f"no {MEMORY}, and sizes are asked for that would fill a disk")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + GROWTH_MAX
    with (
        tempfile.TemporaryDirectory(dir=MEMORY) as folder,
        monkeypatch.context() as patch,
        _limited(resource.RLIMIT_AS, size),
        _limited(resource.RLIMIT_FSIZE, FILE_MAX),
    ):
        patch.chdir(folder)
        yield Path(folder)


def attempt_all(cases: Iterable[Case], driver: DriverName, folder: Path) -> int:
    """Attempt one after the other; returns how many there were."""

    async def attempt_one(target: Target, wild: Mapping[str, Make], closed: bool) -> None:
        try:
            await attempt(target, wild, driver, folder, closed=closed)
        except BaseException as error:
            named = {name: _shown(make) for name, make in wild.items()}
            message = f"{target} of a {'closed' if closed else 'open'} owner: {named}"
            raise AssertionError(message) from error

    async def main() -> int:
        count = 0
        # So that the driver need not start anew each time.
        async with await open_file(os.devnull, driver=driver):
            for case in cases:
                await attempt_one(*case)
                count += 1
        return count

    return asyncio.run(main())


def _shown(make: Callable[..., object]) -> str:
    """What a value is made of, for it may need surroundings to be made, and be unable to say."""
    cells = make.__closure__ or ()
    return f"{make.__name__}, line {make.__code__.co_firstlineno}, " + ", ".join(
        object.__repr__(cell.cell_contents)
        if type(cell.cell_contents).__module__ != "builtins"
        else repr(cell.cell_contents)[:80]
        for cell in cells
    )
