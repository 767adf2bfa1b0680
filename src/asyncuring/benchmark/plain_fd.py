"""A file descriptor for the engines that use the ``os`` module."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncuring.benchmark.trial import Trial


@contextmanager
def open_fd(trial: Trial) -> Iterator[int]:
    """Open the trial's file for reading, past the page cache if the trial says so."""
    fd = os.open(trial.path, os.O_RDONLY | os.O_CLOEXEC | (os.O_DIRECT if trial.direct else 0))
    try:
        yield fd
    finally:
        os.close(fd)
