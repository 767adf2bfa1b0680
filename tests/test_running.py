"""What the tests themselves lean on: one that gives up ends, though it held operations back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncuring import open_file
from tests.running import Task, until, until_in_flight

if TYPE_CHECKING:
    from pathlib import Path

    from tests.running import Run


def test_a_test_that_gives_up_ends_what_it_has_started(run: Run, fifo: Path) -> None:
    def give_up() -> bool:
        pytest.fail("given up")

    async def main() -> None:
        async with await open_file(fifo, "r+", driver="threads", cached_reads="ring") as uring_file:
            Task.start(uring_file.read_at, bytearray(1), 0)
            await until_in_flight(1)
            await until(give_up)  # else closing the file waits for what nobody lets go

    with pytest.raises(pytest.fail.Exception, match="given up"):
        run(main)
