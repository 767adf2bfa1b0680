"""How a program can end, or a part of it, with operations in flight. Used by `test_lifecycles`.

As a program it forks before the library is used, once for each life: so an interpreter that really
ends costs some milliseconds. Arguments: life, driver, folder, runs. It prints what was seen. Of a
life that did not end as it should it says all there is to say, on stderr, at once.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import mmap
import os
import select
import signal
import sys
import threading
import time
import traceback
import warnings
from collections import Counter
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import trio
import uvloop

import asyncuring
from tests.running import checkpoint, in_trio
from tests.stress.pages import BLOCK, BLOCKS, NEW, OLD, check_files, fill_files, make_files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

FILES = 4  # that a `Busy` has open
SECONDS_MAX = 5.0
EXIT_CODE = 7
BAD_MAX = 5  # lives; after so many a program gives up, lest nobody waits for what it says
LOOPS = ["asyncio", "uvloop", "trio"]
READY = b"!"


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


def goes_wrong(_loop: str, _busy: Busy, _say: int) -> None:
    """So that there is a bad life: it says much, and crashes."""
    os.write(2, GOES_WRONG.encode())
    os.abort()


# With the exit code of each.
LIVES: dict[str, tuple[Callable[[str, Busy, int], None], int]] = {
    "falls off its end": (falls_off_its_end, 0),
    "exits in a callback": (exits_in_a_callback, EXIT_CODE),
    "is interrupted": (is_interrupted, EXIT_CODE),
}
BAD_LIFE = "goes wrong"
GOES_WRONG = "\n".join(f"line {number} of what it says" for number in range(5000))


# -- the parent


class Ended(NamedTuple):
    """The end of a life: its exit code or minus a signal, seconds since it was told, or began."""

    code: int
    seconds: float
    said: str
    hung: str  # where each of its threads was, if it hung


def _see_to(child: int, hear: int, interrupt: bool) -> tuple[int, float, str]:
    """Wait for its end, in bounds; returns all of `Ended` but what it said."""
    ends = os.pidfd_open(child)
    begin = time.monotonic()
    if interrupt and _is_readable(hear, SECONDS_MAX) and os.read(hear, 1) == READY:
        begin = time.monotonic()
        os.kill(child, signal.SIGINT)
    hung = ""
    if not _is_readable(ends, SECONDS_MAX):
        hung = _where_threads_are(child)
        os.kill(child, signal.SIGABRT)  # a hang: faulthandler says where
        if not _is_readable(ends, 1):
            os.kill(child, signal.SIGKILL)
    os.close(ends)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, time.monotonic() - begin, hung


def _where_threads_are(child: int) -> str:
    """Of each its name, its state, and where in the kernel it sleeps; and what the machine lacks.

    Whoever hangs sleeps; a thread that runs, or waits for a disk, has a machine that is too busy.
    """
    lines = []
    for task in sorted(Path(f"/proc/{child}/task").iterdir()):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            name, place = (task / "comm").read_text().strip(), (task / "wchan").read_text()
            lines.append(f"thread {task.name}, {name}: {fields[0]} in {place}")
    for path in [Path("/proc/loadavg"), *sorted(Path("/proc/pressure").glob("*"))]:
        with suppress(OSError):  # pressure is not known
            lines.append(f"{path}: {path.read_text().strip()}")
    return "\n".join(lines)


def _is_readable(fd: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(1000 * seconds))


def live(life: str, loop: str, busy: Busy) -> Ended | None:
    """Fork a child that lives, and wait for its end; returns nothing in the child."""
    words = os.memfd_create("words")
    hear, say = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(words, 2)
        warnings.simplefilter("always", ResourceWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        does = goes_wrong if life == BAD_LIFE else LIVES[life][0]
        does(loop, busy, say)
        return None
    os.close(say)
    code, seconds, hung = _see_to(child, hear, life == "is interrupted")
    os.close(hear)
    said = os.pread(words, os.fstat(words).st_size, 0).decode(errors="backslashreplace")
    os.close(words)
    return Ended(code, seconds, said, hung)


def _count_warnings(said: str) -> int:
    return said.count("ResourceWarning: unclosed file")


def _what_is_wrong(life: str, loop: str, ended: Ended, busy: Busy) -> list[str]:
    """Empty for a life that ended as it should."""
    wrong = []
    expected = LIVES[life][1] if life in LIVES else 0
    if ended.code != expected:
        wrong.append(f"its exit status is {ended.code}, and should be {expected}")
    if ended.seconds >= SECONDS_MAX:
        wrong.append(f"it hung: {SECONDS_MAX:.0f} s are the most it may take\n{ended.hung}")
    # A thread that runs on has those of trio.
    if expected == 0 and loop != "trio" and _count_warnings(ended.said) != FILES:
        wrong.append(f"it warned of {_count_warnings(ended.said)} open files instead of {FILES}")
    try:
        check_files(busy.folder, bytes(busy.acknowledged))
    except AssertionError:
        wrong.append(f"its files are not what they should be:\n{traceback.format_exc()}")
        fill_files(busy.folder)  # for the next one
    return wrong


def main() -> None:
    life, driver, place, runs = sys.argv[1:]
    # Into the stderr of whoever hangs or crashes, also of children.
    faulthandler.enable()
    # As a terminal would have it; a shell that starts programs in the background has it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    make_files(Path(place))
    acknowledged = mmap.mmap(-1, BLOCKS)
    lives, slowest, warned, bad = Counter[str](), 0.0, 0, 0
    for number in range(int(runs)):
        loop = LOOPS[number % 3]
        acknowledged[:] = bytes(BLOCKS)
        busy = Busy(driver, Path(place), acknowledged)
        ended = live(life, loop, busy)
        if ended is None:
            return
        lives[loop] += 1
        slowest = max(slowest, ended.seconds)
        warned += _count_warnings(ended.said) if loop != "trio" else 0
        wrong = _what_is_wrong(life, loop, ended, busy)
        if wrong:
            bad += 1
            head = f"Life {number} of {runs}: it {life}, on {loop}, driver {driver}"
            text = "\n".join([f"{head}; it took {ended.seconds:.2f} s.", *wrong])
            sys.stderr.write(f"{text}\nWhat it said:\n{ended.said}\n(That was all it said.)\n")
            sys.stderr.flush()
        if bad == BAD_MAX:
            break
    print(json.dumps({"lives": lives, "slowest": slowest, "warned": warned}))  # noqa: T201  for the test
    sys.exit(bad)


if __name__ == "__main__":
    main()
