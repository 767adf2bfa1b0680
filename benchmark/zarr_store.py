"""zarr on `UringStore`, beside zarr on its own `LocalStore`, which uses a thread for each chunk.

Usage: python -m benchmark.zarr_store [--dir DIR] [--size SIZE] [--chunks SIZE,...]
[--work NAME,...] [--repeats N] [--csv FILE]. Rows of the file that are measured again are
replaced, the others stay.

Chunks are not compressed, and cached when they are read. In each repeat both stores do the same, in
turns as to who is first; a ratio is the median of the repeats' own ratios. "array" is what zarr's
users do, "chunks" the store's part of that: the same chunks, ten at a time as zarr asks for them.
The CPU is that of the process, the kernel's workers for it included; it tells more than the rate
where others use the machine, too.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import gc
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.core.buffer import cpu, default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import LocalStore

from asyncuring.benchmark import quantities
from asyncuring.integrations.zarr import UringStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STORES: dict[str, Callable[[Path], Any]] = {"uring": UringStore, "local": LocalStore}
CHUNKS = (256 * 1024, 1024 * 1024, 4 * 1024 * 1024)
WORK = ("array_read", "chunks_read", "array_write", "chunks_write")
COLUMNS = (
    *("what", "chunk_kib", "array_mib", "repeats", "uring_mib_per_s", "local_mib_per_s"),
    *("ratio", "ratio_min", "ratio_max"),
    *("uring_cpu_ms_per_mib", "local_cpu_ms_per_mib", "cpu_ratio", "load", "zarr", "python"),
)
MIB = 1024 * 1024

# What zarr asks a store for at once (its setting async.concurrency).
CONCURRENCY = 10


class Bench:
    """An array in each of the stores."""

    def __init__(self, folder: Path, size: int, chunk: int) -> None:
        """Create both, and fill them."""
        self.chunk = chunk
        self.data = np.random.default_rng(1).integers(0, 256, size, np.uint8)
        self.stores = {name: make(folder / name) for name, make in STORES.items()}
        self.arrays = {
            name: zarr.create_array(
                store,
                shape=(size,),
                chunks=(chunk,),
                dtype=np.uint8,
                compressors=None,
                # Else zarr compares each chunk with the fill value before it asks the store.
                config={"write_empty_chunks": True},
            )
            for name, store in self.stores.items()
        }
        for array in self.arrays.values():
            array[...] = self.data

    def array_read(self, name: str) -> None:
        """Read all of the array, as a user does."""
        if self.arrays[name][...][-1] != self.data[-1]:
            message = f"{name} reads something else than was written"
            raise ValueError(message)

    def array_write(self, name: str) -> None:
        """Overwrite all of the array, as a user does."""
        self.arrays[name][...] = self.data

    def chunks_read(self, name: str) -> None:
        """Get each chunk, and drop it."""
        get, prototype = self.stores[name].get, default_buffer_prototype()

        async def read(key: str, _: int) -> None:
            if len(await get(key, prototype)) != self.chunk:
                message = f"{key} in {name} is not a whole chunk"
                raise ValueError(message)

        sync(self._ten_at_a_time(read))

    def chunks_write(self, name: str) -> None:
        """Set each chunk."""
        put = self.stores[name].set

        async def write(key: str, off: int) -> None:
            await put(key, cpu.Buffer(self.data[off : off + self.chunk]))

        sync(self._ten_at_a_time(write))

    async def _ten_at_a_time(self, do: Callable[[str, int], Any]) -> None:
        limit = asyncio.Semaphore(CONCURRENCY)

        async def limited(number: int) -> None:
            async with limit:
                await do(f"c/{number}", number * self.chunk)

        await asyncio.gather(*map(limited, range(len(self.data) // self.chunk)))

    def close(self) -> None:
        """Let the drivers stop."""
        for store in self.stores.values():
            store.close()


def seconds(work: Callable[[str], None], name: str) -> tuple[float, float]:
    """Return how long `work` takes, and its CPU, with nothing of what came before on its bill."""
    gc.collect()
    os.sync()
    started, cpu_before = time.perf_counter(), time.process_time()
    work(name)
    return time.perf_counter() - started, time.process_time() - cpu_before


def ratios(times: dict[str, list[tuple[float, float]]], index: int) -> list[float]:
    """Return how much more `LocalStore` took in each repeat: 0 of time, 1 of CPU."""
    return [local[index] / uring[index] for uring, local in zip(*times.values(), strict=True)]


def measure(bench: Bench, what: str, repeats: int) -> dict[str, Any]:
    """Return the row of one kind of work: both stores in turns."""
    work = getattr(bench, what)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in STORES}
    for repeat in range(repeats):
        for name in list(STORES)[:: 1 if repeat % 2 else -1]:
            times[name].append(seconds(work, name))
    mib = len(bench.data) / MIB
    in_time = ratios(times, 0)
    row = {
        "what": what.replace("_", " "),
        "chunk_kib": bench.chunk // 1024,
        "array_mib": int(mib),
        "repeats": repeats,
        "ratio": f"{median(in_time):.2f}",
        "ratio_min": f"{min(in_time):.2f}",
        "ratio_max": f"{max(in_time):.2f}",
        "cpu_ratio": f"{median(ratios(times, 1)):.2f}",
        "load": f"{os.getloadavg()[0]:.1f}",
        "zarr": zarr.__version__,
        "python": ".".join(map(str, sys.version_info[:3])),
    }
    for name, its in times.items():
        row[f"{name}_mib_per_s"] = f"{mib / median(wall for wall, _ in its):.0f}"
        row[f"{name}_cpu_ms_per_mib"] = f"{median(cpu_s for _, cpu_s in its) * 1000 / mib:.3f}"
    return row


def sizes(text: str) -> tuple[int, ...]:
    """Read sizes that are separated by commas."""
    return tuple(map(quantities.size, text.split(",")))


def main(arguments: Sequence[str]) -> None:
    """Measure, and print; into the CSV file too, if there is to be one."""
    parser = argparse.ArgumentParser(prog="benchmark.zarr_store", description=__doc__)
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--size", type=quantities.size, default=1024 * MIB)
    parser.add_argument("--chunks", type=sizes, default=CHUNKS)
    parser.add_argument("--work", type=quantities.names(WORK), default=WORK)
    parser.add_argument("--repeats", type=quantities.count, default=7)
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args(arguments)
    rows = []
    for chunk in options.chunks:
        folder = Path(tempfile.mkdtemp(prefix="zarr-store-", dir=options.dir))
        try:
            bench = Bench(folder, options.size, chunk)
            for what in options.work:
                rows.append(measure(bench, what, options.repeats))
                print(*(f"{rows[-1][column]:>12}" for column in COLUMNS), flush=True)
            bench.close()
        finally:
            shutil.rmtree(folder)
    if options.csv:
        write(options.csv, rows)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Put the rows into the file, in the place of those of the same name."""
    kept: dict[tuple[int, str], dict[str, Any]] = {}
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            kept = {(int(row["chunk_kib"]), row["what"]): row for row in csv.DictReader(file)}
    kept |= {(row["chunk_kib"], row["what"]): row for row in rows}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(kept[key] for key in sorted(kept))


if __name__ == "__main__":
    main(sys.argv[1:])
