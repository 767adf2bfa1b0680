"""What a client asks for again and again, by name, and what that takes of an engine."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable
    from typing import Any

    Op = Callable[..., Any]
    """A function that threads call, or one whose result tasks await."""
    Requests = list[tuple[mmap.mmap, int]]

READ_AT = "read_at"
WRITE_AT = "write_at"
READ_MANY_AT = "read_many_at"
APPEND = "append"
APPEND_GROUPED = "append_grouped"
READ_FILE = "read_file"


@dataclass(frozen=True, kw_only=True)
class Ops:
    """What an engine does with the file that it opened. It names in `Engine.ops` what is there."""

    read_at: Op | None = None
    """``read_at(buf, off) -> count``: one block."""
    write_at: Op | None = None
    """``write_at(buf, off) -> count``: one block."""
    read_many_at: Op | None = None
    """``read_many_at([(buf, off), ...]) -> [count, ...]``: an OSError in the place of a count is
    the failure of that request."""
    append: Op | None = None
    """``append(buf, off) -> count``: one block of a log at its place, and durable."""
    append_grouped: Op | None = None
    """``append_grouped(buf, off) -> count``: one block behind the others of the log that all
    clients share, and durable; whoever comes at once may share a sync. ``off`` is not used."""
    read_file: Op | None = None
    """``read_file(buf, path) -> count``: open, read and close a file of one block."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One kind of work. A client calls ``op(buf, what)``, as `compose` makes it of an engine's."""

    summary: str
    """One line for people."""
    ops: tuple[str, ...]
    """What it needs, of the names in `Ops`."""
    compose: Callable[[Ops], Op]
    writes: bool = False
    """Whether the file is another one afterwards."""
    in_order: bool = False
    """Each lane goes through a stretch of the file that is its own, again and again."""
    small_files: bool = False
    """Each block is a file."""
    one_log: bool = False
    """All clients append to one file, and the engine knows where."""
    read_share: float = 1.0
    """Of its ops, what part reads."""


def _mix(ops: Ops) -> Op:
    read_at, write_at = ops.read_at, ops.write_at
    assert read_at is not None
    assert write_at is not None

    # Not a coroutine: what it costs beside that of a read is a comparison.
    def read_or_write_at(buf: mmap.mmap, off: int) -> Any:
        return read_at(buf, off) if off >= 0 else write_at(buf, WRITING - off)

    return read_or_write_at


def _read_many(ops: Ops) -> Op:
    read_many_at = ops.read_many_at
    assert read_many_at is not None
    return lambda _buf, requests: read_many_at(requests)


WRITING = -1
"""In a mix, ``WRITING - off`` asks for a write at ``off``."""

READ = "read"
SEQUENTIAL_READ = "sequential-read"
MIX = "mix"
WRITE = "write"
READ_MANY = "read-many"
SMALL_FILES = "small-files"
LOG_APPEND = "append"
LOG_APPEND_GROUP = "append-group"

WORKLOADS = {
    READ: Workload(
        summary="random reads, one block per await",
        ops=(READ_AT,),
        compose=attrgetter(READ_AT),
    ),
    SEQUENTIAL_READ: Workload(
        summary="each client reads a part of the file from start to end, again and again",
        ops=(READ_AT,),
        compose=attrgetter(READ_AT),
        in_order=True,
    ),
    WRITE: Workload(
        summary="random overwrites, one block per await",
        ops=(WRITE_AT,),
        compose=attrgetter(WRITE_AT),
        writes=True,
        read_share=0.0,
    ),
    MIX: Workload(
        summary="random reads and overwrites",
        ops=(READ_AT, WRITE_AT),
        compose=_mix,
        writes=True,
        read_share=0.7,
    ),
    LOG_APPEND: Workload(
        summary="each client appends to a log of its own, a block and an fdatasync per await",
        ops=(APPEND,),
        compose=attrgetter(APPEND),
        writes=True,
        in_order=True,
        read_share=0.0,
    ),
    LOG_APPEND_GROUP: Workload(
        summary="all clients append to one log, and those that come at once share the fdatasync",
        ops=(APPEND_GROUPED,),
        compose=attrgetter(APPEND_GROUPED),
        writes=True,
        in_order=True,
        one_log=True,
        read_share=0.0,
    ),
    SMALL_FILES: Workload(
        summary="open, read and close files of one block, in random order",
        ops=(READ_FILE,),
        compose=attrgetter(READ_FILE),
        small_files=True,
    ),
    READ_MANY: Workload(
        summary="random reads, a batch of blocks per await",
        ops=(READ_MANY_AT,),
        compose=_read_many,
    ),
}

UNIFORM = "uniform"
ZIPF = "zipf"
OFFSETS = (UNIFORM, ZIPF)

SHARED = "shared"
PER_CLIENT = "per-client"
FILES = (SHARED, PER_CLIENT)
