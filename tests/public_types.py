"""What type checkers, and so editors, know of the public names. `make check` has mypy look at this.

No test imports it: a type that is not the one written down here is an error of mypy's, and so is
one that it would have to ignore and need not.
"""

from __future__ import annotations

import array
import mmap
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import assert_type

import asyncuring
from asyncuring import AppendingFile, BufferPool, GroupCommit, IoClass, UringFile, open_file
from asyncuring.testing import SimulatedDisk

if TYPE_CHECKING:
    from asyncuring import DriverChoice, Mode

PATH = Path("file")


async def opening(mode: Mode, driver: DriverChoice) -> None:
    assert_type(await open_file(PATH), UringFile)
    assert_type(await open_file("file", "w+", direct=True), UringFile)
    assert_type(await open_file(b"file", "a"), AppendingFile)
    assert_type(await open_file(PATH, mode, driver=driver), UringFile)
    assert_type(await open_file(PATH, driver=SimulatedDisk(seed=1)), UringFile)
    await open_file(PATH, "rb")  # type: ignore[call-overload]
    await open_file(PATH, driver="iouring")  # type: ignore[call-overload]


async def reading(uring_file: UringFile) -> None:
    assert_type(await uring_file.read_at(bytearray(1), 0), int)
    assert_type(await uring_file.read_at(memoryview(bytearray(1)), 0, nowait=True), int)
    assert_type(await uring_file.read_at(mmap.mmap(-1, 1), 0), int)
    assert_type(await uring_file.read_at(array.array("Q", [0]), 0), int)
    assert_type(await uring_file.read_many_at([(bytearray(1), 0)]), list[int | Exception])
    await uring_file.read_at("text", 0)  # type: ignore[arg-type]
    async with uring_file as same:
        assert_type(same, UringFile)


async def writing(uring_file: UringFile, log: AppendingFile) -> None:
    assert_type(await uring_file.write_at(b"page", 0, durable=True), int)
    assert_type(await log.append(b"record"), int)
    assert_type(await GroupCommit(uring_file, 0).append(b"record"), int)
    async with uring_file.chain() as chain:
        assert_type(chain.write_all_at(b"page", 0), asyncuring.Step)


async def leasing(pool: BufferPool) -> None:
    async with pool.lease() as view:
        assert_type(view, memoryview)
    with IoClass("background", shares=10):
        assert_type(asyncuring.statistics().in_flight, int)
