"""A device that reads a page a minute: others go on, and what waits for it can be waited for."""

from __future__ import annotations

import mmap
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from asyncuring import open_file
from tests.held import begin_closing
from tests.running import CancelledTaskError, Task, checkpoints, until_in_flight
from tests.stress.mounts import make_image, mounted
from tests.stress.throttling import throttled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run

# Fewer reads than `threads` has threads, also on a single processor.
BLOCK, READS, ROUNDS = 4096, 3, 50
BYTES_PER_SECOND = 64


@pytest.fixture(scope="module")
def slow_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("slow")
    make_image("ext4", folder / "image")
    with mounted("ext4", folder / "image", folder / "disk") as disk:
        content = b"".join(bytes([number]) * BLOCK for number in range(READS))
        (disk / "file").write_bytes(content)
        yield disk


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_others_go_on_while_a_device_is_slow(  # noqa: PLR0913, PLR0917
    run: Run,
    loop: str,
    driver: DriverName,
    slow_disk: Path,
    file: Path,
    note_attack: Callable[..., None],
) -> None:
    pages = [mmap.mmap(-1, BLOCK) for _ in range(READS)]

    async def main() -> None:
        async with (
            await open_file(slow_disk / "file", direct=True, driver=driver) as slow,
            await open_file(file, "r+", driver=driver, cached_reads="ring") as quick,
        ):
            with throttled(slow_disk, BYTES_PER_SECOND) as lift:
                reads = [Task.start(slow.read_at, page, n * BLOCK) for n, page in enumerate(pages)]
                await until_in_flight(READS)
                for number in range(ROUNDS):
                    await quick.write_all_at(bytes([number]) * BLOCK, 0)
                    await quick.read_exactly_at(bytearray(BLOCK), 0)
                assert not any(task.done for task in reads)
                reads[-1].cancel()
                closing = await begin_closing(slow)
                await checkpoints(100)
                assert not closing.done
                assert not any(task.done for task in reads)  # a device drops nothing
                lift()
                with suppress(CancelledTaskError):
                    await reads[-1].join()
                assert [await task.join() for task in reads[:-1]] == [BLOCK] * (READS - 1)
                await closing.join()

    run(main)
    assert all(page[:] == bytes([n]) * BLOCK for n, page in enumerate(pages[:-1]))
    for page in pages:
        page.close()
    note_attack(
        "bad disk",
        f"a device throttled to {BYTES_PER_SECOND} bytes a second (cgroup)",
        f"{driver}, {loop}, ext4",
        f"{READS} direct reads, one cancelled, and a close; {2 * ROUNDS} operations elsewhere",
        "all others done while these waited; they ended when the limit was lifted",
    )
