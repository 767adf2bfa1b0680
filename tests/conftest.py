from __future__ import annotations

import asyncio
import gc
import os
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

import asyncuring
from asyncuring import _io_class, _runtime
from asyncuring._drivers.simulated import SimulatedDriver
from asyncuring.testing import SimulatedDisk
from tests.running import LOOPS, Run
from tests.simulated import LOOPS_OF_SIMULATED, why_not_simulated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncuring._runtime import DriverName

DRIVERS = ["uring", "uring-local", "threads", "simulated"]
PATTERN = bytes(range(256)) * 64


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave asyncio's debug mode to one driver: no driver knows of it."""
    items[:] = [item for item in items if _is_wanted(item)]
    for item in items:
        if _params(item).get("driver") == "simulated":
            reason = why_not_simulated(item)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


def _params(item: pytest.Item) -> dict[str, object]:
    return getattr(getattr(item, "callspec", None), "params", {})


def _is_wanted(item: pytest.Item) -> bool:
    loop, driver = _params(item).get("loop"), _params(item).get("driver", DRIVERS[0])
    if driver == "simulated":
        return loop is None or loop in LOOPS_OF_SIMULATED
    return loop != "asyncio-debug" or driver == DRIVERS[0]


@pytest.fixture(params=list(LOOPS))
def loop(request: pytest.FixtureRequest) -> str:
    """An event loop, by name."""
    name = str(request.param)
    if name in ("uvloop", "trio"):
        pytest.importorskip(name)
    return name


@pytest.fixture
def run(loop: str) -> Run:
    """Runs an async function in a new loop of the kind that `loop` names."""
    return LOOPS[loop]


@pytest.fixture(scope="session")
def why_no_uring() -> str:
    """Why io_uring does not work here; empty if it does."""

    async def try_it() -> None:
        async with await asyncuring.open_file(os.devnull, driver="uring"):
            pass

    try:
        asyncio.run(try_it())
    except asyncuring.DriverUnavailableError as unavailable:
        return str(unavailable)
    return ""


@pytest.fixture
def uring(why_no_uring: str) -> DriverName:
    """The io_uring driver; where it cannot run, the test fails if it is required."""
    if why_no_uring and os.environ.get("ASYNCURING_REQUIRE_URING") == "1":
        pytest.fail(f"ASYNCURING_REQUIRE_URING=1, and {why_no_uring}")
    if why_no_uring:
        pytest.skip(why_no_uring)
    return "uring"


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> DriverName:
    """A driver, by name; "simulated" is a disk on the folder that the test's files are in."""
    if request.param == "simulated":
        disk = SimulatedDisk(path=request.getfixturevalue("tmp_path"))
        start = partial(SimulatedDriver, disk)
        monkeypatch.setitem(cast("dict[str, object]", _runtime._STARTS), "simulated", start)
    elif request.param != "threads":
        request.getfixturevalue("uring")
    return cast("DriverName", request.param)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """16 KiB, in which byte n is n modulo 256."""
    path = tmp_path / "file"
    path.write_bytes(PATTERN)
    return path


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """A FIFO. A read of an empty one stays in flight until somebody writes."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


@pytest.fixture(autouse=True)
def classes_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class of IO of one test is none of another's."""
    monkeypatch.setattr(_io_class, "_classes", dict(_io_class._classes))


def descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


@pytest.fixture(scope="session", autouse=True)
def libuv_signal_pipe() -> None:
    """The first uvloop of a process opens a pipe and keeps it: it is no leak of any test's."""
    with suppress(ImportError):
        LOOPS["uvloop"](asyncio.sleep, 0)


@pytest.fixture
def no_switches() -> Iterator[None]:
    """No thread gives the GIL up because another one asks for it."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    yield
    sys.setswitchinterval(before)


@pytest.fixture(autouse=True)
def nothing_left_behind(libuv_signal_pipe: None) -> Iterator[None]:  # noqa: ARG001
    """After each test every driver has stopped, and no descriptor is left open."""
    before = descriptors()
    left_by_another = asyncuring.statistics().drivers
    yield
    if left_by_another:
        return
    if asyncuring.statistics().drivers:
        gc.collect()  # an exception's traceback may keep a file
    # A cancel may be under way when its loop ends; each look takes what is left one step further.
    assert any(asyncuring.statistics().drivers == () for _ in range(20_000))
    after = descriptors()
    assert after <= before
