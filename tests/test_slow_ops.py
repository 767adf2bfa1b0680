"""log_slow_ops: a line for each operation that takes long, and none for the others."""

from __future__ import annotations

import logging
import math
import os
import re
import time
from typing import TYPE_CHECKING

import pytest

import asyncuring
from asyncuring import log_slow_ops, open_file
from tests.held import in_flight
from tests.running import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run

LINES_A_SECOND = 10
PARTS = re.compile(
    r": (\S+) s \(backlog (\S+) s, kernel (\S+) s, loop (\S+) s\)"
    r"(?:; before it (\d+) were not logged)?$"
)


@pytest.fixture(autouse=True)
def begun_and_ended(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing is slow before or after a test, and it may write all lines of its second."""
    asyncuring._slow_ops._limit.__init__()  # type: ignore[misc]
    caplog.set_level(logging.WARNING, "asyncuring")
    yield
    log_slow_ops(None)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if (record.name, record.levelno) == ("asyncuring", logging.WARNING)
    ]


def test_each_slow_operation_gives_a_line(
    run: Run, driver: DriverName, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        log_slow_ops(0)
        async with await open_file(file, "r+", driver=driver, cached_reads="ring") as uring_file:
            await uring_file.read_at(bytearray(100), 200)
            await uring_file.write_at(bytes(50), 30)
            await uring_file.readv_at([bytearray(1), bytearray(1)], 7)
            await uring_file.fdatasync()
            log_slow_ops(None)
            await uring_file.read_at(bytearray(100), 300)
        begins = [PARTS.sub("", line) for line in lines(caplog)]
        assert begins == [
            f"slow open of {str(file)!r}, class 'default'",
            f"slow read of {str(file)!r}, 100 bytes at 200, class 'default'",
            f"slow write of {str(file)!r}, 50 bytes at 30, class 'default'",
            f"slow readv of {str(file)!r}, 2 bytes at 7, class 'default'",
            f"slow fdatasync of {str(file)!r}, class 'default'",
        ]

    run(main)


def test_the_line_says_where_the_time_went(
    run: Run, driver: DriverName, fifo: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            limit = 0.005
            log_slow_ops(limit)
            read = await in_flight(uring_file.read_at, bytearray(8), 0)
            begun = time.monotonic()
            await until(lambda: time.monotonic() > begun + limit)
            os.write(uring_file.fileno(), b"12345")
            await read.join()
            log_slow_ops(None)
        (line,) = [line for line in lines(caplog) if "slow read" in line]
        found = PARTS.search(line)
        assert found is not None
        total, backlog, kernel, loop = map(float, found.groups()[:4])
        assert kernel >= limit
        assert total == pytest.approx(backlog + kernel + loop, abs=2e-6)

    run(main)


def test_what_is_fast_is_not_logged(
    run: Run, driver: DriverName, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        log_slow_ops(3600)
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:
            await uring_file.read_at(bytearray(100), 200)

    run(main)
    assert lines(caplog) == []


def test_of_too_many_lines_some_are_omitted_and_counted(
    run: Run, driver: DriverName, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:
            begun = time.monotonic()
            log_slow_ops(0)
            await uring_file.read_many_at([(bytearray(8), 0) for _ in range(500)])
            done = time.monotonic()
            await until(lambda: time.monotonic() > done + 1)  # another second has begun
            written = len(lines(caplog))
            assert LINES_A_SECOND <= written <= LINES_A_SECOND * (2 + done - begun)
            await uring_file.read_at(bytearray(8), 0)
            await until(lambda: len(lines(caplog)) > written)
            log_slow_ops(None)
            found = [PARTS.search(line) for line in lines(caplog)]
            assert found[-1] is not None
            assert found[-1][5] is not None
            assert len(found) + sum(int(one[5] or 0) for one in found if one) == 501

    run(main)


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf, 1e10])
def test_what_is_no_limit_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="a slow operation takes from 0"):
        log_slow_ops(seconds)
