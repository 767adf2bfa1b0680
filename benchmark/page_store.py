"""docs/examples/page_store.py against its thread-pool twin, in one process and in turns.

Usage: python -m benchmark.page_store [DIRECTORY] [--repeats 7]. Reads of a store of which a tenth
fits into its cache, and transactions of one page, by 1 and by 64 tasks, on asyncio. The twin is the
same store, whose pages and log are read, written and synced by os.pread and the like in asyncio's
own thread pool. Medians, and the medians of the ratios of neighbours, are printed and go into
results/page_store.csv.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent.parent / "docs" / "examples"))

from page_cache import PAGE_SIZE
from page_store import PageStore
from write_ahead_log import WriteAheadLog

from benchmark.disturbance import watch
from benchmark.thread_pool_log import ThreadPoolGroups

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from asyncuring import DriverChoice

RESULTS = Path(__file__).parent / "results" / "page_store.csv"
PAGES, CACHE_PAGES = 4000, 400
TASKS = (1, 64)
SLICE_S = 0.4
COLUMNS = ("what", "tasks", "store", "ops_per_second", "cpu_us_per_op", "ratio_to_thread_pool",
           "repeats", "others_percent")  # fmt: skip


Figures = tuple[float, float]  # steps a second, CPU us of each


class ThreadPoolLog(WriteAheadLog):
    """The log, whose groups are committed in a thread."""

    def _new_group(self, end: int) -> Any:
        return ThreadPoolGroups(self.uring_file.fileno(), end)


class ThreadPoolPages:
    """The file of pages, with what the store needs of it."""

    def __init__(self, file: Any) -> None:
        """Read and write the open file `file`."""
        self._file, self._fd = file, file.fileno()
        self.aclose = file.aclose

    async def read_at(self, buf: memoryview, off: int) -> int:
        """Read a page."""
        return await asyncio.to_thread(os.preadv, self._fd, [buf], off)

    async def write_many_at(self, requests: Iterable[tuple[memoryview, int]]) -> list[int]:
        """Write pages."""
        return await asyncio.gather(
            *(asyncio.to_thread(os.pwrite, self._fd, buf, off) for buf, off in requests)
        )

    async def fdatasync(self) -> None:
        """Make them durable."""
        await asyncio.to_thread(os.fdatasync, self._fd)


class ThreadPoolStore(PageStore):
    """The twin."""

    log_class = ThreadPoolLog

    async def _open_pages(self) -> None:
        await super()._open_pages()
        self._pages: Any = ThreadPoolPages(self._pages)

    async def _drain_old(self) -> None:
        assert self._old is not None
        group: Any = self._old._group
        await group.drained()
        await super()._drain_old()


STORES = {"asyncuring": PageStore, "thread-pool": ThreadPoolStore}


async def slice_of(tasks: int, step: Callable[[int], Awaitable[object]]) -> tuple[float, float]:
    """Let so many tasks do steps for a while; returns steps a second, and CPU us of each."""
    started, cpu, count = time.perf_counter(), time.process_time(), 0

    async def client(seed: int) -> None:
        nonlocal count
        choice = random.Random(seed)
        while True:
            await step(choice.randrange(PAGES))
            count += 1
            if time.perf_counter() > started + SLICE_S:
                return

    await asyncio.gather(*map(client, range(tasks)))
    cpu_us = (time.process_time() - cpu) / count * 1e6
    return count / (time.perf_counter() - started), cpu_us


async def measure(directory: str, repeats: int) -> dict[tuple[str, int], list[list[Figures]]]:
    """Return, for each thing measured, the figures of both stores, repeat by repeat."""
    found: dict[tuple[str, int], list[list[Figures]]] = {}
    stores = []
    for name, kind in STORES.items():
        driver: DriverChoice | None = None if name == "asyncuring" else "threads"
        path = Path(directory) / name
        store = await kind.open(path, cache_pages=CACHE_PAGES, driver=driver)
        await asyncio.gather(*(store.write(number, b"page %d" % number) for number in range(PAGES)))
        await store.checkpoint()
        print(f"{name}: {PAGES * PAGE_SIZE >> 20} MiB, O_DIRECT: {store.direct}")
        stores.append(store)
    for number in range(repeats):
        order = [0, 1] if number % 2 == 0 else [1, 0]
        for tasks in TASKS:
            for what in ("read", "transaction"):
                figures = [(0.0, 0.0), (0.0, 0.0)]
                for index in order:
                    store = stores[index]
                    step = store.read if what == "read" else _transaction(store)
                    figures[index] = await slice_of(tasks, step)
                found.setdefault((what, tasks), []).append(figures)
    for store in stores:
        await store.aclose()
    return found


def _transaction(store: PageStore) -> Callable[[int], Awaitable[object]]:
    return lambda number: store.write(number, b"changed")


def main() -> None:
    """Measure, print, and keep the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", nargs="?", default=".", help="where the stores are made")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as folder, watch() as disturbance:
        found = asyncio.run(measure(folder, options.repeats))
    rows = []
    for (what, tasks), figures in found.items():
        for index, name in enumerate(STORES):
            rate, cpu_us = map(
                statistics.median, zip(*(pair[index] for pair in figures), strict=True)
            )
            ratio = statistics.median(pair[index][0] / pair[1][0] for pair in figures)
            rows.append([what, str(tasks), name, f"{rate:.0f}", f"{cpu_us:.1f}", f"{ratio:.3f}"])
            rows[-1] += [str(options.repeats), f"{disturbance.percent:.0f}"]
    with options.out.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
    for row in [COLUMNS, *rows]:
        print("  ".join(cell.rjust(14) for cell in row))


if __name__ == "__main__":
    main()
