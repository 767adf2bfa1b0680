"""A write-ahead log: what `append` has returned for is found again after a crash.

The file is a header and, without gaps, records. A record has a number that only grows (LSN), a
checksum, and how far the log was durable when it was appended. So `open` can tell two things apart:
a torn end, which every crash may leave and which nobody was promised, and damage before what was
promised, which it refuses.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import asyncuring

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from asyncuring import DriverChoice

HEADER = struct.Struct("<16sQI4x")  # magic, the LSN of the first record, checksum of both
MAGIC = b"asyncuring log 1"

RECORD = struct.Struct("<4sIIQQ")  # mark, checksum of all behind it, length, LSN, durable
MARK = b"\xf1LOG"
CHECKED = 8  # where in a record begins what its checksum covers


class DamagedLogError(Exception):
    """The log has lost something that had been durable: a disk's fault, no crash's."""


class Record(NamedTuple):
    """One record, as it stands in the file.

    lsn: its number. durable: the log was durable up to here, in bytes from the start of the file,
    when it was appended. end: where it ends, likewise.
    """

    lsn: int
    durable: int
    payload: bytes
    end: int


class WriteAheadLog:
    """One log file, open to append. Used in one event loop, by any number of its tasks."""

    def __init__(self, uring_file: asyncuring.UringFile, recovered: list[Record], lsn: int) -> None:
        """Use `open`; `recovered` is what was found there, and the caller's to take."""
        self.uring_file = uring_file
        self.recovered = recovered
        self.next_lsn = lsn
        self._group = self._new_group(recovered[-1].end if recovered else HEADER.size)

    @classmethod
    async def open(cls, path: str | Path, *, driver: DriverChoice | None = None) -> Self:
        """Open a log, or create it; cut off what a crash has torn.

        Waits while another process has the log. One that was killed has it until the kernel is done
        with what it had under way: nothing of that may come behind what is read here.

        Raises:
            DamagedLogError: what had been durable is not there.
            OSError: as from the file's operations.
        """
        try:
            uring_file = await asyncuring.open_file(path, "x+", driver=driver)
        except FileExistsError:
            uring_file = await asyncuring.open_file(path, "r+", driver=driver)
        try:
            await uring_file.lock()
            content = bytearray((await uring_file.stat()).size)
            await uring_file.read_exactly_at(content, 0)
            if len(content) < HEADER.size or content == bytes(HEADER.size):
                # Just created, or a crash came before the header was durable.
                content = bytearray(header(1))
            lsn, records = _scan(content, path)
            del content[records[-1].end if records else HEADER.size :]
            # As new: what a process that was killed had not made durable yet must not get lost
            # later, and after a failed fsync the page cache may show what the disk has not.
            await uring_file.write_all_at(content, 0)
            # A torn tail must be gone before anything is appended, else a piece of it could follow
            # the new records one day as if it belonged there.
            await uring_file.truncate(len(content))
            await uring_file.fsync()
            # Each time: who created the file may have been killed before it came to this.
            await cls._sync_directory(path, driver)
            return cls(uring_file, records, records[-1].lsn + 1 if records else lsn)
        except BaseException:
            await uring_file.aclose()
            raise

    @classmethod
    async def create(
        cls, path: str | Path, lsn: int, *, driver: DriverChoice | None = None
    ) -> Self:
        """Put an empty log in the place of whatever is at `path`, at once and durably."""
        await asyncuring.replace_file(path, header(lsn), driver=driver)
        return await cls.open(path, driver=driver)

    async def append(
        self, payload: bytes, *, on_durable: Callable[[], object] | None = None
    ) -> None:
        """Append one record, and wait until it is durable; `on_durable` as of `GroupCommit`.

        A task that is cancelled leaves the record in the log or out of it; `on_durable` knows.

        Raises:
            OSError: it is not durable, and the log is at its end: `GroupCommit` tells why nothing
                can be appended behind a failed fsync. Open the log again.
        """
        record = self.encode(payload)
        told = None if on_durable is None else (lambda _: on_durable())
        await self._group.append(record, on_durable=told)

    def encode(self, payload: bytes) -> bytes:
        """Return the next record, and count it."""
        lsn, self.next_lsn = self.next_lsn, self.next_lsn + 1
        rest = RECORD.pack(MARK, 0, len(payload), lsn, self.end)[CHECKED:]
        checksum = zlib.crc32(payload, zlib.crc32(rest))
        return b"".join((MARK, checksum.to_bytes(4, "little"), rest, payload))

    @property
    def end(self) -> int:
        """Where the durable part ends, in bytes from the start of the file."""
        return self._group.end

    async def aclose(self) -> None:
        """Close the log, once all that was appended has come to its end."""
        await self.uring_file.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    # -- what tests replace by something wrong, to see that it matters

    def _new_group(self, end: int) -> asyncuring.GroupCommit:
        return asyncuring.GroupCommit(self.uring_file, end)

    @staticmethod
    async def _sync_directory(path: str | Path, driver: DriverChoice | None) -> None:
        await asyncuring.sync_directory(Path(path).parent, driver=driver)


def header(lsn: int) -> bytes:
    """Return how a log begins whose first record gets this LSN."""
    start = HEADER.pack(MAGIC, lsn, 0)[:24]
    return HEADER.pack(MAGIC, lsn, zlib.crc32(start))


def _scan(content: bytearray, path: str | Path) -> tuple[int, list[Record]]:
    """Return the first LSN, and the whole records up to the first that is not."""
    magic, lsn, checksum = HEADER.unpack_from(content)
    if magic != MAGIC or checksum != zlib.crc32(content[:24]):
        raise DamagedLogError(f"{path} does not begin as a log does")
    records: list[Record] = []
    end, next_lsn = HEADER.size, lsn
    while (record := _record_at(content, end)) is not None and record.lsn >= next_lsn:
        records.append(record)
        end, next_lsn = record.end, record.lsn + 1
    # Behind a torn record others of its group may be whole. One of a later group cannot be there:
    # it says that the log was durable beyond this point when it was appended.
    off = content.find(MARK, end)
    while off >= 0:
        later = _record_at(content, off)
        if later is not None and later.durable > end:
            raise DamagedLogError(
                f"{path} is damaged at {end}: the record at {off} was appended when all up to "
                f"{later.durable} was durable"
            )
        off = content.find(MARK, off + 1)
    return lsn, records


def _record_at(content: bytearray, off: int) -> Record | None:
    """Return the whole record that begins there, if one does."""
    if off + RECORD.size > len(content):
        return None
    mark, checksum, length, lsn, durable = RECORD.unpack_from(content, off)
    end = off + RECORD.size + length
    if mark != MARK or end > len(content):
        return None
    with memoryview(content)[off + CHECKED : end] as checked:
        if zlib.crc32(checked) != checksum:
            return None
    return Record(lsn, durable, bytes(content[off + RECORD.size : end]), end)


async def main() -> None:
    """Append from many tasks; then read it all."""
    async with await WriteAheadLog.open("example.log") as log:
        tasks = (log.append(b"balance of account %d: 100" % number) for number in range(100))
        await asyncio.gather(*tasks)
    async with await WriteAheadLog.open("example.log") as log:
        print(len(log.recovered), "records, the last one:", log.recovered[-1].payload.decode())


if __name__ == "__main__":
    import asyncio

    asyncio.run(main())
