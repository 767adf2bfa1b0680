"""Small files that are replaced as a whole: whoever opens one finds a whole version of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncuring
from tests.soak.content import BLOCK, Label, read_records, sealed
from tests.soak.model import Place

if TYPE_CHECKING:
    from pathlib import Path

    from tests.soak.client import Client

__all__ = ["OWN_SMALL_FILE_OPS", "SMALL_FILE_OPS", "SmallFile"]

_LENGTHS = (100, 5000, 3 * BLOCK)


class SmallFile:
    """A name, and which versions may stand behind it. Only its one writer changes it."""

    def __init__(self, number: int, directory: Path) -> None:
        """It does not exist yet."""
        self.number = number
        self.path = directory / f"small-{number}"
        self.place = Place()


async def replace(client: Client) -> None:
    """`replace_file`."""
    file = client.own_small_file
    version = file.place.begin()
    try:
        content = content_of(client, file, version)
        await asyncuring.replace_file(file.path, content, driver=client.driver)
    except BaseException:
        file.place.doubt(version)
        raise
    file.place.acknowledge(version)


async def rename(client: Client) -> None:
    """Write another file, and rename it over this one."""
    file = client.own_small_file
    new = file.path.with_suffix(".new")
    version = file.place.begin()
    try:
        content = content_of(client, file, version)
        async with await asyncuring.open_file(new, "w+", driver=client.driver) as uring_file:
            await uring_file.write_all_at(content, 0)
        await asyncuring.rename(new, file.path, driver=client.driver)
    except BaseException:
        file.place.doubt(version)
        raise
    file.place.acknowledge(version)


async def look(client: Client) -> None:
    """Open some client's file, read all of it, close it."""
    file = client.random.choice(client.world.small_files)
    if file.place.acknowledged == 0:
        return  # perhaps it does not exist yet
    glance = file.place.glance()
    async with await asyncuring.open_file(file.path, driver=client.driver) as uring_file:
        content = bytearray((await uring_file.stat()).size)
        await uring_file.read_exactly_at(content, 0)
    records = list(read_records(bytes(content)))
    if [(length, label.file) for _, length, label in records] != [(len(content), file.number)]:
        verdict = f"wrong: {records}"  # never torn, whoever replaces it meanwhile
    else:
        verdict = file.place.judge(glance, records[0][2].version)
    client.tally.judged(file.path.name, verdict)


def content_of(client: Client, file: SmallFile, version: int) -> bytes:
    label = Label(file.number, 0, version, file.number)
    return sealed(label, client.random.choice(_LENGTHS))


SMALL_FILE_OPS = [("look at a small file", look, 2)]

# Of those clients that have one.
OWN_SMALL_FILE_OPS = [("replace_file", replace, 2), ("write, rename", rename, 3)]
