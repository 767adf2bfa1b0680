"""A file descriptor for the engines that use the ``os`` module, and what they do with it.

Each function here blocks, in whatever thread an engine calls it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from asyncuring.benchmark.workload import (
    APPEND,
    APPEND_GROUPED,
    READ_AT,
    READ_FILE,
    READ_MANY_AT,
    WORKLOADS,
    WRITE_AT,
    Ops,
)

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

    from asyncuring.benchmark.grouping import SyncCommit
    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.workload import Op, Requests

PLAIN_OPS = (READ_AT, WRITE_AT, READ_MANY_AT, APPEND, APPEND_GROUPED, READ_FILE)
"""What an engine has that adds a group commit to `open_plain`."""


@contextmanager
def open_fd(trial: Trial) -> Iterator[int]:
    """Open the trial's file for its workload, past the page cache if the trial says so."""
    access = os.O_RDWR if WORKLOADS[trial.workload].writes else os.O_RDONLY
    fd = os.open(trial.path, access | flags_of(trial))
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def open_plain(trial: Trial) -> Iterator[tuple[Ops, SyncCommit | None]]:
    """Open the trial's file, if it is one; yield ops, and what commits a group of records."""
    if READ_FILE in WORKLOADS[trial.workload].ops:
        yield Ops(read_file=_reading_files(flags_of(trial))), None
        return
    with open_fd(trial) as fd:
        yield _plain_ops(fd), _committing(fd)


def flags_of(trial: Trial) -> int:
    """Return the flags of every file of the trial, beside how it is accessed."""
    return os.O_CLOEXEC | (os.O_DIRECT if trial.direct else 0)


def _plain_ops(fd: int) -> Ops:
    preadv, pwritev, fdatasync = os.preadv, os.pwritev, os.fdatasync

    def read_at(buf: mmap.mmap, off: int) -> int:
        return preadv(fd, [buf], off)

    def write_at(buf: mmap.mmap, off: int) -> int:
        return pwritev(fd, [buf], off)

    def read_many_at(requests: Requests) -> list[int | OSError]:
        results: list[int | OSError] = []
        for buf, off in requests:
            try:
                results.append(preadv(fd, [buf], off))
            except OSError as error:  # noqa: PERF203 - one failure must not hide the others
                results.append(error)
        return results

    def append(buf: mmap.mmap, off: int) -> int:
        count = pwritev(fd, [buf], off)
        fdatasync(fd)
        return count

    return Ops(read_at=read_at, write_at=write_at, read_many_at=read_many_at, append=append)


def _committing(fd: int) -> SyncCommit:
    def commit(buffers: list[mmap.mmap], off: int) -> int:
        count = os.pwritev(fd, buffers, off)
        os.fdatasync(fd)
        return count

    return commit


def _reading_files(flags: int) -> Op:
    def read_file(buf: mmap.mmap, path: str) -> int:
        fd = os.open(path, os.O_RDONLY | flags)
        try:
            return os.preadv(fd, [buf], 0)
        finally:
            os.close(fd)

    return read_file
