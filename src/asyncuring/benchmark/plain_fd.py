"""A file descriptor for the engines that use the ``os`` module, and what they do with it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from asyncuring.benchmark.workload import WRITE

if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable, Iterator, Sequence

    from asyncuring.benchmark.trial import Trial

    VectorAt = Callable[[int, Sequence[mmap.mmap], int], int]


@contextmanager
def open_fd(trial: Trial) -> Iterator[int]:
    """Open the trial's file for its workload, past the page cache if the trial says so."""
    access = os.O_RDWR if trial.workload == WRITE else os.O_RDONLY
    fd = os.open(trial.path, access | os.O_CLOEXEC | (os.O_DIRECT if trial.direct else 0))
    try:
        yield fd
    finally:
        os.close(fd)


def vector_at(trial: Trial) -> VectorAt:
    """Return ``os.preadv`` or ``os.pwritev``."""
    return os.pwritev if trial.workload == WRITE else os.preadv
