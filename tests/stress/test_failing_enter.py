"""io_uring_enter(2) fails now and then, or for good: nothing hangs, nothing is lost.

strace makes it fail, so the errors come from where the kernel's come from.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("uring")

SECONDS_MAX = 50

# 200 clients, so that more ops wait than one batch, or the submission queue, has room for; a FIFO
# whose reads stay in flight; and a sleep of the ring thread now and then.
READ_AND_WRITE = """
import asyncio, os, random, sys
import asyncuring

BLOCK, CLIENTS, ROUNDS = 512, 200, 6
driver, path, fifo = sys.argv[1:]

def content(block, version):
    return block.to_bytes(4, "little") * 64 + version.to_bytes(4, "little") * 64

async def client(number, uring_file, done):
    buffer = bytearray(BLOCK)
    for version in range(ROUNDS):
        assert await uring_file.write_at(content(number, version), number * BLOCK) == BLOCK
        assert await uring_file.read_at(buffer, number * BLOCK) == BLOCK
        assert buffer == content(number, version), (number, version)
        async with uring_file.chain() as chain:
            chain.write_all_at(content(number, version + 1), number * BLOCK)
            chain.read_at(bytearray(8), number * BLOCK)
            chain.read_exactly_at(buffer, number * BLOCK)
        assert buffer == content(number, version + 1), (number, version)
        done.append(number)

async def cancelled(uring_file):
    reads = [asyncio.ensure_future(uring_file.read_at(bytearray(1), 0)) for _ in range(4)]
    while asyncuring.statistics().in_flight < 4:
        await asyncio.sleep(0)
    for read in reads:
        read.cancel()
    await asyncio.wait(reads)
    assert all(read.cancelled() for read in reads), reads

async def main():
    done = []
    async with (
        await asyncuring.open_file(path, "w+", driver=driver, cached_reads="ring") as uring_file,
        await asyncuring.open_file(fifo, "r+", driver=driver, cached_reads="ring") as empty,
    ):
        for _ in range(3):
            await cancelled(empty)
            await asyncio.gather(*(client(n, uring_file, done) for n in range(CLIENTS)))
        for _ in range(50):
            await client(0, uring_file, done)
    assert len(done) == 3 * CLIENTS * ROUNDS + 50 * ROUNDS
    print("done")

asyncio.run(main())
"""


ON_TRIO = """
import sys, trio
import asyncuring

BLOCK, CLIENTS, ROUNDS = 512, 200, 6
driver, path, _ = sys.argv[1:]

async def client(number, uring_file):
    place, buffer = number * BLOCK, bytearray(BLOCK)
    for version in range(ROUNDS):
        content = bytes([number, version]) * (BLOCK // 2)
        assert await uring_file.write_at(content, place) == BLOCK
        assert await uring_file.read_at(buffer, place) == BLOCK
        assert buffer == content
        async with uring_file.chain() as chain:
            chain.write_all_at(content[::-1], place)
            chain.read_exactly_at(buffer, place)
        assert buffer == content[::-1]

async def main():
    opening = asyncuring.open_file(path, "w+", driver=driver, cached_reads="ring")
    async with await opening as uring_file:
        async with trio.open_nursery() as nursery:
            for number in range(CLIENTS):
                nursery.start_soon(client, number, uring_file)
    print("done")

trio.run(main)
"""


# While nothing gets through, ops fill the submission queue to its last entry, which the ring thread
# then takes for itself to sleep; and more ops come, some while it does.
FILL_THE_QUEUE = """
import asyncio, sys
import asyncuring

driver, path, _ = sys.argv[1:]

async def main():
    opening = asyncuring.open_file(path, "w+", driver=driver, cached_reads="ring")
    async with await opening as uring_file:
        await uring_file.write_at(b"page", 0)
        # strace counts the enter of the ring's first read, too: the next one fails.
        while asyncuring.statistics().enters < 38:
            assert await uring_file.read_at(bytearray(4), 0) == 4
        reads = []
        for count in [63] + [1] * 20:
            for _ in range(count):
                reads.append(asyncio.ensure_future(uring_file.read_at(bytearray(4), 0)))
            await asyncio.sleep(0.02)
        assert await asyncio.gather(*reads) == [4] * len(reads)
    print("done")

asyncio.run(main())
"""

# One op at a time, served from the page cache: when enter fails, the kernel has none of them.
FAIL_FOR_GOOD = """
import errno, os, sys
import asyncuring
from tests.running import LOOPS, gather

driver, path, _ = sys.argv[1:]

async def main():
    uring_file = await asyncuring.open_file(path, "w+", driver=driver, cached_reads="ring")
    await uring_file.write_at(b"page", 0)

    async def error_of_a_read(number):
        try:
            await uring_file.read_at(bytearray(4), 0)
        except OSError as error:
            return error.errno

    errors = [await error_of_a_read(number) for number in range(20)]
    assert set(errors) == {None, errno.EPERM} and errors[-1], errors
    chain = uring_file.chain()
    try:
        async with chain:
            chain.write_all_at(b"page", 0)
            chain.fdatasync()
    except OSError as error:
        assert error.errno == errno.EPERM
    assert [step.result for step in chain.steps] == [None, None]
    assert set(await gather(error_of_a_read, 300)) == {errno.EPERM}
    fd = uring_file.fileno()
    await uring_file.aclose()
    try:
        os.fstat(fd)
    except OSError:
        print("closed")

LOOPS[loop](main)
assert asyncuring.statistics().drivers == ()
"""


def run_failing(  # noqa: PLR0913, PLR0917
    strace: str, driver: str, program: str, failing: str, tmp_path: Path, fifo: Path
) -> subprocess.CompletedProcess[str]:
    command = [strace, "-f", "-qq", "-o", str(tmp_path / "trace"), "-e", "trace=io_uring_enter"]
    command += ["-e", f"inject=io_uring_enter:{failing}"]
    return subprocess.run(
        [
            *(*command, sys.executable, "-W", "error", "-c", program),
            *(driver, str(tmp_path / "file"), str(fifo)),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )


@pytest.fixture(params=["uring", "uring-local"])
def ring_driver(request: pytest.FixtureRequest) -> str:
    """A driver that enters a ring, by name."""
    return str(request.param)


@pytest.mark.parametrize("error", ["EAGAIN", "EINTR", "EBUSY", "ENOMEM"])
@pytest.mark.parametrize("when", ["3+5", "2+2", "20..300"], ids=["fifth", "second", "long"])
def test_passing_errors_of_enter_lose_nothing(  # noqa: PLR0913, PLR0917
    strace: str,
    ring_driver: str,
    error: str,
    when: str,
    tmp_path: Path,
    fifo: Path,
    note_attack: Callable[..., None],
) -> None:
    done = run_failing(
        strace, ring_driver, READ_AND_WRITE, f"error={error}:when={when}", tmp_path, fifo
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    assert f" {error} " in (tmp_path / "trace").read_text()
    what = f"io_uring_enter fails with {error}, calls {when} (strace)"
    tried = "7300 writes and reads, 3650 chains, 12 cancelled reads"
    note_attack("hostile system", what, f"{ring_driver}, asyncio", tried, "each as it should be")


@pytest.mark.parametrize("error", ["EAGAIN", "EINTR", "EBUSY", "ENOMEM"])
def test_passing_errors_of_enter_lose_nothing_on_trio(  # noqa: PLR0913, PLR0917
    strace: str,
    ring_driver: str,
    error: str,
    tmp_path: Path,
    fifo: Path,
    note_attack: Callable[..., None],
) -> None:
    failing = f"error={error}:when=3+5"
    done = run_failing(strace, ring_driver, ON_TRIO, failing, tmp_path, fifo)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    assert f" {error} " in (tmp_path / "trace").read_text()
    what = f"io_uring_enter fails with {error}, calls 3+5 (strace)"
    tried = "2400 writes and reads, 1200 chains"
    note_attack("hostile system", what, f"{ring_driver}, trio", tried, "each as it should be")


def test_a_full_submission_queue_waits(strace: str, tmp_path: Path, fifo: Path) -> None:
    failing = "error=EAGAIN:when=40..340"
    done = run_failing(strace, "uring", FILL_THE_QUEUE, failing, tmp_path, fifo)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_an_enter_that_fails_for_good_fails_every_op_and_files_can_be_closed(  # noqa: PLR0913, PLR0917
    strace: str,
    ring_driver: str,
    loop: str,
    tmp_path: Path,
    fifo: Path,
    note_attack: Callable[..., None],
) -> None:
    program = f"loop = {loop!r}\n{FAIL_FOR_GOOD}"
    done = run_failing(strace, ring_driver, program, "error=EPERM:when=15+", tmp_path, fifo)
    said = "asyncuring: io_uring_enter: Operation not permitted; every further operation fails\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, "closed\n", said)
    what = "io_uring_enter fails with EPERM from the 15th call on (strace)"
    tried = "320 reads, one by one and at once, a chain, a close"
    note_attack("hostile system", what, f"{ring_driver}, {loop}", tried, "EPERM each; closed")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("EAGAIN", "the kernel refused to create a ring that works"),
        ("ENOMEM", "there is no memory left for what a ring needs"),
    ],
)
def test_an_enter_that_always_wants_another_try_is_a_refusal(  # noqa: PLR0913, PLR0917
    strace: str, ring_driver: str, error: str, cause: str, tmp_path: Path, fifo: Path
) -> None:
    done = run_failing(strace, ring_driver, READ_AND_WRITE, f"error={error}", tmp_path, fifo)
    assert done.returncode == 1
    assert f"the {ring_driver!r} driver cannot run here ({error}): {cause}" in done.stderr
