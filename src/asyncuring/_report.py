"""The report that `python -m asyncuring` prints: what runs here, why, and within which limits."""

from __future__ import annotations

import asyncio
import errno
import os
import platform
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import asyncuring

from ._drivers.native import liburing_version, start_uring, start_uring_local, supported_opcodes
from ._runtime import DEPTH, THREADS
from ._statistics_text import seconds_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["report"]

_COLUMNS = 80
_NAME_COLUMNS = 28  # the longest is a sysctl

# IORING_OP_* of linux/io_uring.h: what the library uses. Where one is missing that kernels have
# got later than 5.6, native threads stand in for it.
_USED = {
    0: "NOP",
    1: "READV",
    2: "WRITEV",
    3: "FSYNC",
    4: "READ_FIXED",
    5: "WRITE_FIXED",
    8: "SYNC_FILE_RANGE",
    14: "ASYNC_CANCEL",
    17: "FALLOCATE",
    19: "CLOSE",
    21: "STATX",
    22: "READ",
    23: "WRITE",
    24: "FADVISE",
    28: "OPENAT2",
    35: "RENAMEAT",
    36: "UNLINKAT",
    37: "MKDIRAT",
    38: "SYMLINKAT",
    39: "LINKAT",
    55: "FTRUNCATE",
}

_GLUE = "\N{NO-BREAK SPACE}"  # between an opcode and its answer, where no line may end

_READ_BYTES = 4096

Row = tuple[str, str]


def report() -> str:
    """Look at this machine and describe it, in at most 80 columns."""
    sections: dict[str, Iterable[Row]] = {
        f"asyncuring {asyncuring.__version__}": _versions(),
        "io_uring": _io_uring(),
        "Opcodes (IORING_OP_*)": _opcodes(),
        "Limits": _limits(),
        f"A read of {_READ_BYTES} bytes with the default driver": _read(),
    }
    return "\n\n".join(
        "\n".join([title, *(_line(name, text) for name, text in rows)])
        for title, rows in sections.items()
    )


def _line(name: str, text: str) -> str:
    lines = textwrap.fill(
        text,
        _COLUMNS,
        initial_indent=f"  {name:<{_NAME_COLUMNS}}",
        subsequent_indent=" " * (_NAME_COLUMNS + 2),
    )
    return lines.replace(_GLUE, " ")


def _versions() -> Iterator[Row]:
    yield "Python", f"{platform.python_implementation()} {platform.python_version()}"
    yield "system", f"{platform.system()} {platform.release()}, {platform.machine()}"
    yield "liburing", liburing_version() or "none: built without it"


def _io_uring() -> Iterator[Row]:
    try:
        start_uring().stop()
    except asyncuring.DriverUnavailableError as unavailable:
        yield "works here", "no"
        yield "cause", unavailable.cause
        yield "remedy", unavailable.remedy
        if unavailable.errno is not None:
            name = errno.errorcode.get(unavailable.errno, "?")
            yield "the kernel's answer", f"{name}: {os.strerror(unavailable.errno)}"
    else:
        yield "works here", "yes: a ring was made, and a read went through it"
        yield "driver='uring-local'", _uring_local()


def _uring_local() -> str:
    try:
        start_uring_local().stop()
    except asyncuring.DriverUnavailableError as unavailable:
        return f"does not work here: {unavailable.cause}"
    return "works here, too: a ring for each event loop, without a thread"


def _opcodes() -> Iterator[Row]:
    supported = supported_opcodes()
    if not supported:
        yield "unknown", "the kernel does not say (io_uring_setup(2), io_uring_register(2))"
        return
    answers = (f"{_USED[op]}{_GLUE}{'yes' if op in supported else 'no'}" for op in _USED)
    yield "used", ", ".join(answers)
    others = [op for op in supported if op not in _USED]
    yield "others, by number", _ranges(others)


def _ranges(numbers: list[int]) -> str:
    """1, 2, 3, 7 → "1-3, 7"."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][-1] == number - 1:
            ranges[-1][1:] = [number]
        else:
            ranges.append([number])
    return ", ".join("-".join(map(str, ends)) for ends in ranges)


def _limits() -> Iterator[Row]:
    import resource  # noqa: PLC0415  Unix only

    for name in ("RLIMIT_MEMLOCK", "RLIMIT_NOFILE"):
        soft, hard = (
            "unlimited" if value == resource.RLIM_INFINITY else str(value)
            for value in resource.getrlimit(getattr(resource, name))
        )
        unit = " bytes" if name == "RLIMIT_MEMLOCK" else ""
        yield name, f"{soft} (at most {hard}){unit}"
    for name in ("io_uring_disabled", "io_uring_group"):
        yield f"kernel.{name}", _sysctl(name)
    yield "depth per event loop", f"{DEPTH} operations, and as many cancels"
    yield "native threads", f"{THREADS}, of the 'threads' driver"


def _sysctl(name: str) -> str:
    try:
        return (Path("/proc/sys/kernel") / name).read_bytes().decode().strip()
    except OSError:
        return "not there (Linux has it from 6.6 on)"


def _read() -> Iterator[Row]:
    try:
        count, running = asyncio.run(_read_this_file())
    except OSError as error:
        yield "failed", str(error)
        return
    yield "read", f"{count} bytes of {Path(__file__).name}"
    yield "driver", running.driver
    yield "reason", running.reason
    yield "operations submitted", str(running.ops_submitted)
    yield "io_uring_enter calls", str(running.enters)
    yield "wake-ups of its threads", str(running.wakeups)
    yield "wake-ups of the loop", str(running.rings)
    (read,) = (operation for operation in running.operations if operation.opcode == "read")
    parts = (
        f"{seconds_text(read.backlog_seconds.mean)} until it was submitted",
        f"{seconds_text(read.kernel_seconds.mean)} until it was done",
        f"{seconds_text(read.loop_seconds.mean)} until the loop took notice",
    )
    yield "time of the read", ", ".join(parts)


async def _read_this_file() -> tuple[int, asyncuring.DriverStatistics]:
    async with await asyncuring.open_file(__file__, cached_reads="ring") as uring_file:
        count = await uring_file.read_at(bytearray(_READ_BYTES), 0)
        return count, asyncuring.statistics().drivers[0]
