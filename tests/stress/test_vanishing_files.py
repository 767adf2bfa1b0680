"""Files that are cut off, or lose their name, under their reader."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from asyncuring import EndOfFileError, open_file
from tests.running import gather

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run

BLOCK, BLOCKS, CLIENTS, ROUNDS = 4096, 16, 16, 100
CONTENT = b"x" * BLOCK * BLOCKS


@contextmanager
def cut_off_and_written_again(path: Path) -> Iterator[None]:
    """Another thread empties and fills the file, again and again."""
    enough = threading.Event()

    def cut() -> None:
        fd = os.open(path, os.O_RDWR)
        while not enough.is_set():
            os.ftruncate(fd, 0)
            os.pwrite(fd, CONTENT, 0)
        os.close(fd)

    cutting = threading.Thread(target=cut)
    cutting.start()
    try:
        yield
    finally:
        enough.set()
        cutting.join()


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
@pytest.mark.parametrize("cached_reads", ["ring", "inline"])
def test_a_file_that_is_cut_off_ends_there(  # noqa: PLR0913, PLR0917
    run: Run,
    loop: str,
    driver: DriverName,
    cached_reads: str,
    tmp_path: Path,
    note_attack: Callable[..., None],
) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    whole, ended = [0] * CLIENTS, [0] * CLIENTS

    async def main() -> None:
        async with await open_file(path, driver=driver, cached_reads=cached_reads) as uring_file:  # type: ignore[call-overload]

            async def client(number: int) -> None:
                while whole[number] + ended[number] < ROUNDS:
                    page = bytearray(BLOCK)
                    try:
                        await uring_file.read_exactly_at(page, number % BLOCKS * BLOCK)
                    except EndOfFileError as error:
                        assert page[error.count :] == bytes(BLOCK - error.count)  # noqa: PT017
                        ended[number] += 1
                    else:
                        whole[number] += 1
                    # What is read while it is cut off may be zeros: the kernel clears that page.
                    assert set(page) <= {0, ord("x")}

            with cut_off_and_written_again(path):
                await gather(client, CLIENTS)
            path.unlink()
            page = bytearray(BLOCK)
            await uring_file.read_exactly_at(page, 0)
            assert page == CONTENT[:BLOCK]
            assert (await uring_file.stat()).size == len(CONTENT)

    run(main)
    note_attack(
        "bad disk",
        "a file cut off and written again, then unlinked, under its readers",
        f"{driver}, {loop}, cached_reads={cached_reads}",
        f"{CLIENTS * ROUNDS} reads",
        "whole, or EndOfFileError with the count; readable without a name",
    )
