"""How a program can end, or a part of it, with operations in flight. Used by `test_lifecycles`.

As a program it forks before the library is used, once for each life: so an interpreter that really
ends costs some milliseconds. Arguments: life, driver, folder, runs. It prints what was seen.
"""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import select
import signal
import sys
import threading
import time
import warnings
from collections import Counter
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio
import uvloop

import asyncuring
from tests.running import checkpoint, in_trio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

BLOCK = 4096
BLOCKS = 16
FILES = 4  # that a `Busy` has open
SECONDS_MAX = 5.0
EXIT_CODE = 7
LOOPS = ["asyncio", "uvloop", "trio"]
READY = b"!"

# What the page at each place has before anybody writes, and after.
OLD, NEW = b"o" * BLOCK, b"n" * BLOCK


def make_files(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    (folder / "read").write_bytes(OLD * BLOCKS)
    (folder / "written").write_bytes(OLD * BLOCKS)


def check_files(folder: Path, acknowledged: bytes) -> None:
    """Each page is old or new, new where that was acknowledged, and nothing else has changed."""
    assert (folder / "read").read_bytes() == OLD * BLOCKS
    written = (folder / "written").read_bytes()
    assert len(written) == BLOCKS * BLOCK
    for number in range(BLOCKS):
        page = written[number * BLOCK : (number + 1) * BLOCK]
        assert page == NEW or (page == OLD and not acknowledged[number]), number
    (folder / "written").write_bytes(OLD * BLOCKS)


class Busy:
    """Tasks with reads that stay in flight, direct reads, and writes of both kinds."""

    def __init__(self, driver: Any, folder: Path, acknowledged: Any) -> None:
        self.driver = driver
        self.folder = folder
        self.acknowledged = acknowledged
        self.files: list[asyncuring.UringFile] = []
        self.buffers: list[Any] = []

    async def start(self, start_soon: Callable[..., object]) -> None:
        """Open the files, start the tasks, and wait until they are at it."""
        for name, options in [("fifo", {}), ("read", {"direct": True}), ("written", {}),
                              ("written", {"direct": True})]:  # fmt: skip
            opening = asyncuring.open_file(
                self.folder / name, "r+", driver=self.driver, cached_reads="ring", **options
            )
            self.files.append(await opening)
        fifo, read, written, written_directly = self.files
        for _ in range(4):
            start_soon(self._read_stream, fifo)
        for _ in range(2):
            start_soon(self._read, read)
        for first, file in enumerate([written, written_directly]):
            start_soon(self._write, file, first)
        before = asyncuring.statistics().ops_submitted
        while asyncuring.statistics().ops_submitted < before + 20:
            await checkpoint()

    async def close(self) -> None:
        for file in self.files:
            await file.aclose()

    async def _read_stream(self, file: asyncuring.UringFile) -> None:
        buf = bytearray(8)
        self.buffers.append(buf)
        await file.read_at(buf, 0)

    async def _read(self, file: asyncuring.UringFile) -> None:
        page = mmap.mmap(-1, BLOCK)
        while True:
            assert await file.read_at(page, BLOCK) == BLOCK
            assert page[:] == OLD

    async def _write(self, file: asyncuring.UringFile, first: int) -> None:
        page = mmap.mmap(-1, BLOCK)
        page[:] = NEW
        while True:
            for number in range(first, BLOCKS, 2):
                assert await file.write_at(page, number * BLOCK) == BLOCK
                self.acknowledged[number] = 1


@asynccontextmanager
async def busy_files(busy: Busy) -> AsyncIterator[None]:
    """Tasks that are cancelled when the block is left, and files that are closed then."""
    try:
        if in_trio():
            async with trio.open_nursery() as nursery:
                await busy.start(nursery.start_soon)
                yield
                nursery.cancel_scope.cancel()
        else:
            tasks: list[asyncio.Task[None]] = []
            try:
                await busy.start(lambda do, *its: tasks.append(asyncio.create_task(do(*its))))
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        with trio.CancelScope(shield=True) if in_trio() else nullcontext():
            await busy.close()


# -- lives: each is called in a child that has not used the library, and ends the interpreter


def _run(loop: str, main: Callable[[], Any]) -> Any:
    if loop == "trio":
        return trio.run(main)
    return uvloop.run(main()) if loop == "uvloop" else asyncio.run(main())


def falls_off_its_end(loop: str, busy: Busy, _say: int) -> None:
    """The interpreter ends, files are open, and nobody runs the loop any more."""
    if loop == "trio":  # a run cannot be left but in a thread that is given up
        started = threading.Event()

        async def main() -> None:
            async with busy_files(busy):
                started.set()
                await trio.sleep_forever()

        threading.Thread(target=trio.run, args=(main,), daemon=True).start()
        started.wait()
        return
    new: Any = asyncio if loop == "asyncio" else uvloop
    event_loop = new.new_event_loop()
    tasks: list[Any] = []

    def start_soon(function: Any, *arguments: Any) -> None:
        tasks.append(event_loop.create_task(function(*arguments)))
        tasks[-1]._log_destroy_pending = False

    event_loop.run_until_complete(busy.start(start_soon))
    globals().update(event_loop=event_loop, files=busy.files, tasks=tasks)  # as a program has them


def exits_in_a_callback(loop: str, busy: Busy, _say: int) -> None:
    """`sys.exit` where no task of the program's is (trio has no such place)."""

    async def main() -> None:
        async with busy_files(busy):
            if loop == "trio":
                sys.exit(EXIT_CODE)
            asyncio.get_running_loop().call_soon(sys.exit, EXIT_CODE)
            await asyncio.sleep(SECONDS_MAX)

    _expect(SystemExit, loop, main)


def is_interrupted(loop: str, busy: Busy, say: int) -> None:
    """A real SIGINT, whatever the process is doing."""

    async def main() -> None:
        async with busy_files(busy):
            os.write(say, READY)
            while True:
                await checkpoint()

    _expect(KeyboardInterrupt, loop, main)


def _expect(kind: type[BaseException], loop: str, main: Callable[[], Any]) -> None:
    try:
        _run(loop, main)
    except BaseException as error:
        if not _holds(error, kind):
            raise
        sys.exit(EXIT_CODE)


def _holds(error: BaseException, kind: type[BaseException]) -> bool:
    inner = getattr(error, "exceptions", ())
    return isinstance(error, kind) or any(_holds(one, kind) for one in inner)


LIVES: dict[str, tuple[Callable[[str, Busy, int], None], int]] = {
    "falls off its end": (falls_off_its_end, 0),
    "exits in a callback": (exits_in_a_callback, EXIT_CODE),
    "is interrupted": (is_interrupted, EXIT_CODE),
}


# -- the parent


def _see_to(child: int, hear: int, interrupt: bool) -> tuple[int, float]:
    """Wait for its end, in bounds; returns its status, and seconds since it was told, or began."""
    ends = os.pidfd_open(child)
    begin = time.monotonic()
    if interrupt and os.read(hear, 1) == READY:
        begin = time.monotonic()
        os.kill(child, signal.SIGINT)
    poll = select.poll()
    poll.register(ends, select.POLLIN)
    if not poll.poll(1000 * SECONDS_MAX):
        os.kill(child, signal.SIGKILL)  # a hang
    os.close(ends)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), time.monotonic() - begin


def main() -> None:
    life, driver, place, runs = sys.argv[1:]
    folder = Path(place)
    make_files(folder)
    acknowledged = mmap.mmap(-1, BLOCKS)
    codes, said, slowest, warned = Counter[str](), Counter[str](), 0.0, 0
    for number in range(int(runs)):
        acknowledged[:] = bytes(BLOCKS)
        words = os.memfd_create("words")
        hear, say = os.pipe()
        child = os.fork()
        if child == 0:
            os.dup2(words, 2)
            warnings.simplefilter("always", ResourceWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            LIVES[life][0](LOOPS[number % 3], Busy(driver, folder, acknowledged), say)
            return
        os.close(say)
        code, seconds = _see_to(child, hear, life == "is interrupted")
        os.close(hear)
        text = os.pread(words, 100_000, 0).decode()
        os.close(words)
        loop = LOOPS[number % 3]
        codes[f"{loop}: {code}"] += 1
        slowest = max(slowest, seconds)
        warned += text.count("ResourceWarning: unclosed file") == FILES and loop != "trio"
        said[text if code != LIVES[life][1] else ""] += 1
        check_files(folder, acknowledged[:])
    result = {"codes": codes, "slowest": slowest, "warned": warned, "said": said}
    print(json.dumps(result))  # noqa: T201  for the test


if __name__ == "__main__":
    main()
