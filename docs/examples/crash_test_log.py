from typing import Any

import asyncuring
from asyncuring.testing import SimulatedDisk, crash_test

RECORD = 1000  # bytes: more than a sector, so that it can be torn


async def workload(disk: SimulatedDisk, promised: list[Any]) -> None:
    async with await asyncuring.open_file(disk.path / "log", "x+", driver=disk) as log:
        await asyncuring.sync_directory(disk.path, driver=disk)
        for number in range(3):
            await log.write_all_at(bytes([number + 1]) * RECORD, number * RECORD)
            await log.fdatasync()
            promised.append(number)  # from here on nobody may lose it


async def recover(disk: SimulatedDisk) -> list[bytes]:
    try:
        log = await asyncuring.open_file(disk.path / "log", "r", driver=disk)
    except FileNotFoundError:
        return []
    async with log:
        content = bytearray((await log.stat()).size)
        await log.read_exactly_at(content, 0)
    return [bytes(content[off : off + RECORD]) for off in range(0, len(content), RECORD)]


def check(found: list[bytes], promised: list[Any]) -> None:
    for number in promised:
        assert found[number] == bytes([number + 1]) * RECORD


print("nothing lost in", crash_test(workload, recover, check), "states after power cuts")
