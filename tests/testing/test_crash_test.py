"""`crash_test`, with a log: right, and wrong in the ways in which logs are."""

from __future__ import annotations

import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

import asyncuring
from asyncuring.testing import CrashTestError, crash_test
from tests.testing.disks import open_on

if TYPE_CHECKING:
    from asyncuring.testing import SimulatedDisk

RECORDS = 4
BODY = 600  # more than a sector


async def write_log(
    disk: SimulatedDisk,
    promised: list[Any],
    *,
    syncs_data: bool = True,
    syncs_directory: bool = True,
    heeds_errors: bool = True,
) -> None:
    """Append records, each of which is promised when it is durable."""
    async with await open_on(disk, "log", "x+") as log:
        if syncs_directory:
            await asyncuring.sync_directory(disk.path, driver=disk)
        if not heeds_errors:
            disk.fail("fdatasync", after=2)
        for number in range(RECORDS):
            body = bytes([number + 1]) * BODY
            record = body + zlib.crc32(body).to_bytes(4, "little")
            await log.write_all_at(record, number * len(record))
            if syncs_data:
                try:
                    await log.fdatasync()
                except OSError:
                    if heeds_errors or disk.is_dead:
                        raise
            promised.append(number)


async def read_log(disk: SimulatedDisk) -> list[int]:
    """The records that are whole, up to the first that is not."""
    found: list[int] = []
    try:
        log = await open_on(disk, "log", "r")
    except FileNotFoundError:
        return found
    async with log:
        for number in range(RECORDS):
            record = bytearray(BODY + 4)
            await log.read_at(record, number * len(record))
            body, checksum = record[:BODY], int.from_bytes(record[BODY:], "little")
            if zlib.crc32(body) != checksum or body != bytes([number + 1]) * BODY:
                break
            found.append(number)
    return found


def check_log(found: list[int], promised: list[int]) -> None:
    assert found[: len(promised)] == promised
    assert found == list(range(len(found)))


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_right_log_keeps_what_it_promised(loop: Any) -> None:
    count = crash_test(write_log, read_log, check_log, seeds=[1], loop=loop)
    assert count > 30


@pytest.mark.parametrize("wrong", ["syncs_data", "syncs_directory", "heeds_errors"])
def test_a_wrong_log_is_found_out_and_the_text_replays_it(wrong: str) -> None:
    options: dict[str, Any] = {wrong: False}
    workload = partial(write_log, **options)
    with pytest.raises(CrashTestError, match="open log: ok") as caught:
        crash_test(workload, read_log, check_log)
    first = caught.value
    assert f"seeds=[{first.seed}], cut_at=[{first.cut_at}]" in str(first)
    with pytest.raises(CrashTestError) as caught:
        crash_test(workload, read_log, check_log, seeds=[first.seed], cut_at=[first.cut_at])
    assert str(caught.value).splitlines()[1] == str(first).splitlines()[1]


def test_some_points_are_enough_if_one_wants() -> None:
    every = crash_test(write_log, read_log, check_log, seeds=[1], states=1)
    assert crash_test(write_log, read_log, check_log, seeds=[1], states=1, points=3) == 3 < every


def test_a_workload_that_fails_though_there_is_power_is_no_finding() -> None:
    async def main(disk: SimulatedDisk, _promised: list[Any]) -> None:
        disk.fail("open")
        await open_on(disk, "log")

    with pytest.raises(OSError, match="Input/output"):
        crash_test(main, read_log, check_log)
