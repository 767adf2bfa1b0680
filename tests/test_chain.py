"""Chains: steps in order, and none behind the one that stops them."""

from __future__ import annotations

import errno
import mmap
import random
import re
import resource
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import asyncuring
from asyncuring import Chain, ClosedFileError, EndOfFileError, Step, open_file
from tests.conftest import PATTERN
from tests.running import gather, is_pinned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncuring._runtime import DriverName
    from tests.running import Run

# Of the library: the steps of one chain, and the bytes of one transfer.
STEPS_MAX = 1024
TRANSFER_MAX = 2_147_479_552


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size`: the write that gets there comes short."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def states(chain: Chain) -> list[int | str | None]:
    """What came of each step: its result, or that it was skipped."""
    return ["skipped" if step.skipped else step.result for step in chain.steps]


Record = Callable[[Chain], Sequence[Step]]


async def perform(chain: Chain, record: Record) -> None:
    async with chain:
        record(chain)


def test_steps_run_in_order(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            before, after, end = bytearray(4), bytearray(8), bytearray(8)
            async with uring_file.chain() as chain:
                first = chain.read_exactly_at(before, 0)
                assert first.result is None
                chain.write_all_at(b"written ", 0)
                chain.writev_all_at([b"by", bytearray(b" a "), memoryview(b"chain")], 8)
                chain.fdatasync()
                chain.read_exactly_at(after, 6)
                chain.read_at(end, len(PATTERN) - 3)  # which comes short, as it may
                last = chain.fsync()
            assert states(chain) == [4, 8, 10, 0, 8, 3, 0]
            assert (chain.steps[0], chain.steps[-1]) == (first, last)
            assert not any(step.error for step in chain.steps)
            assert (bytes(before), bytes(after)) == (PATTERN[:4], b"n by a c")
            assert end.startswith(PATTERN[-3:])
        assert file.read_bytes() == b"written by a chain" + PATTERN[18:]

    run(main)


def test_a_long_chain_is_in_order_throughout(run: Run, driver: DriverName, file: Path) -> None:
    """Longer than what is linked or begun at once; each write is overwritten by the next."""

    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            read = [bytearray(8) for _ in range(STEPS_MAX // 2)]
            async with uring_file.chain() as chain:
                for number, buf in enumerate(read):
                    chain.write_all_at(number.to_bytes(8, "little"), 4000)
                    chain.read_exactly_at(buf, 4000)
            assert states(chain) == [8] * STEPS_MAX
            assert [int.from_bytes(buf, "little") for buf in read] == [*range(STEPS_MAX // 2)]

    run(main)


def test_a_short_write_stops_what_is_behind_it(run: Run, driver: DriverName, file: Path) -> None:
    """A hard link, or two operations one after the other, would sync a torn write and go on."""

    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            size = len(PATTERN)
            chain = uring_file.chain()
            said = "only 100 of 4096 bytes were written at offset 16384, in step 2 of 4"
            with files_end_at(size + 100), pytest.raises(OSError, match=said) as caught:
                await perform(
                    chain,
                    lambda chain: [
                        chain.write_all_at(b"before", 0),
                        chain.write_all_at(bytes(4096), size),
                        chain.fdatasync(),
                        chain.write_all_at(b"behind", 10),
                    ],
                )
            assert (caught.value.errno, caught.value.filename) == (errno.EIO, str(file))
            assert chain.steps[1].error is caught.value
            assert states(chain) == [6, 100, "skipped", "skipped"]
        assert file.read_bytes() == b"before" + PATTERN[6:] + bytes(100)

    run(main)


def test_a_failed_sync_stops_what_is_behind_it(run: Run, driver: DriverName) -> None:
    """The kernel of a link would go on. This file, which the kernel makes up, cannot be synced."""
    path = Path("/proc/self/coredump_filter")
    if not path.exists():
        pytest.skip("there is no file here that can be written and not be synced")

    async def main() -> None:
        same = f"0x{path.read_text().strip()}".encode()
        async with await open_file(path, "r+", driver=driver) as uring_file:
            chain = uring_file.chain()
            with pytest.raises(OSError, match="in step 2 of 3, fdatasync"):
                await perform(
                    chain,
                    lambda chain: [
                        chain.write_all_at(same, 0),
                        chain.fdatasync(),
                        chain.write_all_at(same, 0),
                    ],
                )
            assert states(chain) == [len(same), None, "skipped"]

    run(main)


def largest(file: Path) -> int:
    """The size of the largest file of its kind."""
    low, high = 0, 2**63 - 1
    with file.open("rb") as seekable:
        while low < high:
            middle = (low + high + 1) // 2
            try:
                seekable.seek(middle)
            except OSError:
                high = middle - 1
            else:
                low = middle
    return low


def test_the_largest_file_stops_what_is_behind_it(run: Run, driver: DriverName, file: Path) -> None:
    size = largest(file)
    if size > 2**62:
        pytest.skip("a file of the temporary folder may be as large as an offset can say")

    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            chain = uring_file.chain()
            with pytest.raises(OSError, match="only 100 of 4096 bytes were written at offset"):
                await perform(
                    chain,
                    lambda chain: [
                        chain.write_all_at(bytes(4096), size - 100),
                        chain.fdatasync(),
                        chain.write_all_at(b"behind", 0),
                    ],
                )
            assert states(chain) == [100, "skipped", "skipped"]
            assert await uring_file.read_at(bytearray(4), 0) == 4
        with file.open("rb") as written:
            assert written.read(8) == PATTERN[:8]

    run(main)


def test_a_failure_stops_what_is_behind_it(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            size = len(PATTERN)
            chain = uring_file.chain()
            said = "File too large: 2 bytes at offset 16384, in step 1 of 3, writev_all_at"
            with files_end_at(size), pytest.raises(OSError, match=said) as caught:
                await perform(
                    chain,
                    lambda chain: [
                        chain.writev_all_at([b"1", b"2"], size),
                        chain.fdatasync(),
                        chain.write_all_at(b"behind", 10),
                    ],
                )
            assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(file))
            assert states(chain) == [None, "skipped", "skipped"]
            assert chain.steps[0].error is caught.value
            assert repr(chain.steps[1]) == "<asyncuring.Step fdatasync, skipped>"
        assert file.read_bytes() == PATTERN

    run(main)


def test_a_full_device_stops_what_is_behind_it(run: Run, driver: DriverName) -> None:
    async def main() -> None:
        async with await open_file("/dev/full", "r+", driver=driver) as uring_file:
            buf = bytearray(4)
            chain = uring_file.chain()
            with pytest.raises(OSError, match="in step 2 of 3") as caught:
                await perform(
                    chain,
                    lambda chain: [
                        chain.read_exactly_at(buf, 0),
                        chain.write_all_at(b"page", 0),
                        chain.read_at(buf, 0),
                    ],
                )
            assert caught.value.errno == errno.ENOSPC
            assert states(chain) == [4, None, "skipped"]

    run(main)


def test_a_sync_that_fails_stops_what_is_behind_it(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver) as uring_file:
            chain = uring_file.chain()
            with pytest.raises(OSError, match="in step 1 of 2, fsync:") as caught:
                await perform(chain, lambda chain: [chain.fsync(), chain.write_all_at(b"!", 0)])
            assert caught.value.errno == errno.EINVAL
            assert states(chain) == [None, "skipped"]

    run(main)


def test_the_end_of_the_file_stops_read_exactly_at(
    run: Run, driver: DriverName, file: Path
) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            chain = uring_file.chain()
            with pytest.raises(EndOfFileError) as caught:
                await perform(
                    chain,
                    lambda chain: [
                        chain.read_exactly_at(bytearray(8), len(PATTERN) - 5),
                        chain.write_all_at(b"behind", 0),
                    ],
                )
            assert (caught.value.count, caught.value.expected) == (5, 8)
            assert states(chain) == [5, "skipped"]
        assert file.read_bytes() == PATTERN

    run(main)


def test_misaligned_direct_io_says_so(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        try:
            uring_file = await open_file(file, "r+", driver=driver, direct=True)
        except OSError as error:
            pytest.skip(f"no direct IO in the temporary folder: {error}")
        async with uring_file:
            chain = uring_file.chain()
            try:
                await perform(chain, lambda chain: [chain.write_all_at(bytes(100), 3)])
            except OSError as error:
                assert re.search("with direct=True.*, in step 1 of 1", str(error))  # noqa: PT017
            else:
                pytest.skip("the file system of the temporary folder takes any alignment")

    run(main)


def test_an_exception_in_the_block_runs_nothing(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            submitted = asyncuring.statistics().ops_submitted
            buf = bytearray(b"page")
            chain = uring_file.chain()

            def record(chain: Chain) -> list[Step]:
                chain.write_all_at(buf, 0)
                assert is_pinned(buf)
                raise LookupError

            with pytest.raises(LookupError):
                await perform(chain, record)
            assert states(chain) == ["skipped"]
            assert not is_pinned(buf)
            async with uring_file.chain() as empty:
                pass
            assert empty.steps == []
            assert asyncuring.statistics().ops_submitted == submitted
        assert file.read_bytes() == PATTERN

    run(main)


def test_what_cannot_be_recorded(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            chain = uring_file.chain()
            with pytest.raises(RuntimeError, match="in the chain's block"):
                chain.fsync()
            async with chain:
                with pytest.raises(BufferError, match="read-only"):
                    chain.read_at(b"1", 0)
                with pytest.raises(TypeError, match="not str"):
                    chain.write_all_at("text", 0)  # type: ignore[arg-type]
                with pytest.raises(ValueError, match="offset must be"):
                    chain.write_all_at(b"", -1)
                with pytest.raises(BufferError, match="contiguous"):
                    chain.writev_all_at([b"", memoryview(b"abcd")[::2]], 0)
                with pytest.raises(ValueError, match="at most 1024 buffers"):
                    chain.writev_all_at([b"1"] * 1025, 0)
                assert chain.steps == []
            with pytest.raises(RuntimeError, match="in the chain's block"):
                chain.fsync()
            with pytest.raises(RuntimeError, match="was used before"):
                async with chain:
                    pass
            long = uring_file.chain()
            with pytest.raises(RuntimeError, match="at most 1024 steps"):
                await perform(long, lambda long: [long.fsync() for _ in range(STEPS_MAX + 1)])
        with pytest.raises(ClosedFileError):
            uring_file.chain()

    run(main)


def test_a_step_that_no_call_could_carry_out_in_full_is_refused(
    run: Run, driver: DriverName, file: Path
) -> None:
    """It would always come short. The memory is never touched."""

    async def main() -> None:
        private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        huge = mmap.mmap(-1, TRANSFER_MAX + 1, flags=private, prot=mmap.PROT_READ)
        async with (
            await open_file(file, "r+", driver=driver) as uring_file,
            uring_file.chain() as chain,
        ):
            with pytest.raises(ValueError, match="at most 2147479552 bytes"):
                chain.write_all_at(huge, 0)
            with pytest.raises(ValueError, match="at most 2147479552 bytes"):
                chain.writev_all_at([huge, b"1"], 0)
        huge.close()

    run(main)


# -- many at once


def test_chains_and_other_operations_leave_each_other_alone(
    run: Run, driver: DriverName, file: Path
) -> None:
    """Each client has a block of its own; every third meets the end of the file in its chain."""
    size = 64
    clients = len(PATTERN) // size - 1

    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:

            async def client(number: int) -> int:
                choice = random.Random(number)
                place, end, buf = number * size, bytearray(size), bytearray(size)
                for turn in range(5):
                    content = choice.randbytes(size)
                    chain = uring_file.chain()
                    try:
                        async with chain:
                            chain.write_all_at(content, place)
                            chain.read_exactly_at(buf, place)
                            if number % 3 == 0:
                                chain.read_exactly_at(end, len(PATTERN) - 1)
                            chain.write_all_at(content[::-1], place)
                    except EndOfFileError:
                        assert states(chain) == [size, size, 1, "skipped"]
                        expected = content
                    else:
                        assert states(chain) == [size, size, size]
                        expected = content[::-1]
                    assert buf == content
                    await uring_file.read_exactly_at(buf, place)
                    assert buf == expected, turn
                return number

            assert await gather(client, clients) == [*range(clients)]

    run(main)
