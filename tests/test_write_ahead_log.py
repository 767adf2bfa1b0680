"""The example of a write-ahead log: what was promised is found again, and nothing torn."""

from __future__ import annotations

import asyncio
import resource
import signal
from typing import TYPE_CHECKING

import pytest
from write_ahead_log import HEADER, RECORD, DamagedLogError, WriteAheadLog

from tests.running import gather, run_asyncio, start

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run

PAYLOADS = [b"first", b"", b"\xf1LOG a mark", b"last"]
ENDS = [
    HEADER.size + sum(RECORD.size + len(payload) for payload in PAYLOADS[:count])
    for count in range(len(PAYLOADS) + 1)
]


async def written(path: Path) -> bytes:
    """Return a log with each record in a group of its own."""
    async with await WriteAheadLog.open(path) as log:
        for payload in PAYLOADS:
            await log.append(payload)
    return path.read_bytes()


async def payloads(path: Path) -> list[bytes]:
    async with await WriteAheadLog.open(path) as log:
        return [record.payload for record in log.recovered]


def test_many_tasks_append_and_all_is_found_again(
    run: Run, driver: DriverName, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    told: list[int] = []

    async def main() -> None:
        async with await WriteAheadLog.open(path, driver=driver) as log:

            async def client(number: int) -> None:
                for turn in range(5):
                    await log.append(b"%d.%d" % (number, turn), on_durable=lambda: told.append(0))

            await gather(client, 20)
            assert len(told) == 100
        async with await WriteAheadLog.open(path, driver=driver) as log:
            found = [record.payload for record in log.recovered]
            assert sorted(found) == sorted(b"%d.%d" % (n, t) for n in range(20) for t in range(5))
            assert [record.lsn for record in log.recovered] == [*range(1, 101)]
            assert all(record.durable < record.end for record in log.recovered)
            assert log.next_lsn == 101

    run(main)


@pytest.mark.parametrize("driver", ["uring"], indirect=True)
def test_a_log_cut_off_anywhere_has_its_whole_records_and_takes_new_ones(
    driver: DriverName, tmp_path: Path
) -> None:
    path = tmp_path / "log"

    async def main() -> None:
        content = await written(path)
        assert len(content) == ENDS[-1]
        for length in range(len(content) + 1):
            path.write_bytes(content[:length])
            whole = max((count for count, end in enumerate(ENDS) if end <= length), default=0)
            async with await WriteAheadLog.open(path, driver=driver) as log:
                assert [record.payload for record in log.recovered] == PAYLOADS[:whole]
                if length % 9 == 0:
                    await log.append(b"new")
            if length % 9 == 0:
                assert await payloads(path) == [*PAYLOADS[:whole], b"new"]

    asyncio.run(main())


def test_a_flipped_bit_is_refused_or_cuts_off_what_nobody_was_promised(tmp_path: Path) -> None:
    path = tmp_path / "log"
    refused = 0

    async def main() -> None:
        nonlocal refused
        content = await written(path)
        for place in range(len(content)):
            changed = bytearray(content)
            changed[place] ^= 1 << place % 8
            path.write_bytes(changed)
            try:
                found = await payloads(path)
            except DamagedLogError:
                refused += 1
                assert path.read_bytes() == changed  # nothing was repaired away
            else:
                # No later group proves that it was durable: it may be what a crash has torn. The
                # last bytes of the header mean nothing.
                assert place >= ENDS[-2] or 28 <= place < HEADER.size
                assert found == PAYLOADS[: -1 if place >= ENDS[-2] else None]

    asyncio.run(main())
    assert refused == ENDS[-2] - 4


def test_what_a_torn_group_has_left_never_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "log"

    async def main() -> None:
        async with await WriteAheadLog.open(path) as log:
            await log.append(b"before")
            end = log.end
            await asyncio.gather(log.append(b"torn one"), log.append(b"whole, but in vain"))
        content = bytearray(path.read_bytes())
        content[end + RECORD.size] ^= 1
        path.write_bytes(content)
        async with await WriteAheadLog.open(path) as log:
            assert [record.payload for record in log.recovered] == [b"before"]
            await log.append(b"new, 8B.")  # as long as the one that was torn
        assert await payloads(path) == [b"before", b"new, 8B."]

    asyncio.run(main())


def test_an_empty_file_and_a_header_of_zeros_are_a_new_log(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for content in (b"", bytes(7), bytes(HEADER.size)):
        path.write_bytes(content)
        assert run_asyncio(payloads, path) == []
    path.write_bytes(bytes(HEADER.size + 1))
    with pytest.raises(DamagedLogError, match="does not begin as a log does"):
        run_asyncio(payloads, path)


def test_a_log_is_one_processs_at_a_time(run: Run, driver: DriverName, tmp_path: Path) -> None:
    async def open_log() -> list[bytes]:
        async with await WriteAheadLog.open(tmp_path / "log", driver=driver) as log:
            return [record.payload for record in log.recovered]

    async def main() -> None:
        async with await WriteAheadLog.open(tmp_path / "log", driver=driver) as log:
            opening = await start(open_log)
            await log.append(b"before it is opened again")
            assert not opening.done
        assert await opening.join() == [b"before it is opened again"]

    run(main)


def test_a_log_that_failed_takes_nothing_more(tmp_path: Path) -> None:
    async def main() -> None:
        async with await WriteAheadLog.open(tmp_path / "log") as log:
            await log.append(b"before")
            limits = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (log.end + 40, limits[1]))
            try:
                with pytest.raises(OSError, match="in the commit"):
                    await log.append(bytes(1000))
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            with pytest.raises(OSError, match="earlier commit"):
                await log.append(b"after")
        assert await payloads(tmp_path / "log") == [b"before"]

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        asyncio.run(main())
    finally:
        signal.signal(signal.SIGXFSZ, before)
