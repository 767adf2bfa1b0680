"""The queue in C."""

from __future__ import annotations

import ctypes
import os
import shlex
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import asyncuring
from benchmark.micro.ruler import clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from benchmark.micro.ruler import Ruler, Slice

pytestmark = pytest.mark.benchmark(timer=clock)

SOURCE = Path(__file__).with_name("queue_cost.c")
CORE = Path(asyncuring.__file__).parent / "_native"


@pytest.fixture(scope="session")
def queue_cost(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, int], float]:
    """`queue_cost` of queue_cost.c, compiled."""
    library = tmp_path_factory.mktemp("queue") / "queue_cost.so"
    compiler = shlex.split(os.environ.get("CC", "cc"))
    options = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")
    subprocess.run((*compiler, *options, "-I", CORE, "-o", library, SOURCE), check=True)
    function = ctypes.CDLL(str(library)).queue_cost
    function.restype, function.argtypes = ctypes.c_double, (ctypes.c_uint, ctypes.c_uint)
    cost: Callable[[int, int], float] = function
    return cost


@pytest.mark.parametrize("size", [1, 32, 256])
def bench_queue(ruler: Ruler, queue_cost: Callable[[int, int], float], size: int) -> None:
    """Push ops and pop them again, in one thread: the cost for each."""

    async def one_slice() -> float:
        cost = queue_cost(size, 131_072 // size)
        assert cost > 0
        return cost

    @asynccontextmanager
    async def part() -> AsyncIterator[Slice]:
        yield one_slice

    ruler.measure(f"queue push and pop of {size}", "asyncio", part)
