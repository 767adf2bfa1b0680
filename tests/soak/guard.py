"""Buffers whose await has ended: what they hold must not change any more."""

from __future__ import annotations

import zlib
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

from tests.soak.tally import LATE_CHANGES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.soak.tally import Tally

__all__ = ["Guard"]

# A late write by the kernel comes within the time of an op.
_SECONDS = 0.25
_WATCHED_MAX = 400


class Guard:
    """Watches buffers for a while before they are used again."""

    def __init__(self, tally: Tally) -> None:
        """Tell `tally` of those that changed."""
        self._tally = tally
        self._watched: deque[tuple[float, memoryview, int, str, Callable[[], None]]] = deque()

    def watch(self, view: memoryview, what: str, release: Callable[[], None]) -> None:
        """Remember what `view` holds now; `release` is called when it was looked at again."""
        self._watched.append((monotonic(), view, zlib.crc32(view), what, release))
        if len(self._watched) > _WATCHED_MAX:
            self._look()

    def sweep(self, *, everything: bool = False) -> None:
        """Look at those that were watched for long enough."""
        until = monotonic() - (0 if everything else _SECONDS)
        while self._watched and self._watched[0][0] <= until:
            self._look()

    def _look(self) -> None:
        _, view, checksum, what, release = self._watched.popleft()
        if zlib.crc32(view) != checksum:
            self._tally.missed(LATE_CHANGES, what)
        release()
