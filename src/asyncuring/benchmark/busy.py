"""A thread that only computes, in Python, beside the clients of a trial."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def busy_thread(wanted: bool) -> Iterator[None]:
    """Keep one thread busy, which lets go of the GIL only when it has to; nothing if unwanted."""
    done = False

    def compute() -> None:
        number = 0
        while not done:
            number = (number * 31 + 7) % 1_000_003

    if not wanted:
        yield
        return
    thread = threading.Thread(target=compute, name="busy")
    thread.start()
    try:
        yield
    finally:
        done = True
        thread.join()
