"""A file descriptor for the engines that use the ``os`` module, and what they do with it.

Each function here blocks, in whatever thread an engine calls it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from asyncuring.benchmark.workload import (
    APPEND,
    READ_AT,
    READ_FILE,
    WORKLOADS,
    WRITE_AT,
    Ops,
)

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.workload import Op

PLAIN_OPS = (READ_AT, WRITE_AT, APPEND, READ_FILE)


@contextmanager
def open_fd(trial: Trial) -> Iterator[int]:
    """Open the trial's file for its workload, past the page cache if the trial says so."""
    access = os.O_RDWR if WORKLOADS[trial.workload].writes else os.O_RDONLY
    fd = os.open(trial.path, access | _flags(trial))
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def open_plain(trial: Trial) -> Iterator[Ops]:
    """Open the trial's file, if it is one; yield ops that block the thread that calls them."""
    if READ_FILE in WORKLOADS[trial.workload].ops:
        yield Ops(read_file=_reading_files(_flags(trial)))
        return
    with open_fd(trial) as fd:
        yield _plain_ops(fd)


def _flags(trial: Trial) -> int:
    return os.O_CLOEXEC | (os.O_DIRECT if trial.direct else 0)


def _plain_ops(fd: int) -> Ops:
    preadv, pwritev, fdatasync = os.preadv, os.pwritev, os.fdatasync

    def read_at(buf: mmap.mmap, off: int) -> int:
        return preadv(fd, [buf], off)

    def write_at(buf: mmap.mmap, off: int) -> int:
        return pwritev(fd, [buf], off)

    def append(buf: mmap.mmap, off: int) -> int:
        count = pwritev(fd, [buf], off)
        fdatasync(fd)
        return count

    return Ops(read_at=read_at, write_at=write_at, append=append)


def _reading_files(flags: int) -> Op:
    def read_file(buf: mmap.mmap, path: str) -> int:
        fd = os.open(path, os.O_RDONLY | flags)
        try:
            return os.preadv(fd, [buf], 0)
        finally:
            os.close(fd)

    return read_file
