"""A line in the log for each operation that takes long. Knows no event loop and no C."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from ._drivers.native import note_slow_ops
from ._op import OPCODE_MASK, Opcode, bytes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._drivers import SlowOp
    from ._op import Op

__all__ = ["SlowLog", "log_slow_ops"]

_logger = logging.getLogger("asyncuring")

_AT_OFFSETS = {Opcode.READ, Opcode.WRITE, Opcode.READV, Opcode.WRITEV}

# Where all operations are slow, to write a line for each would make them slower.
_LINES_MAX = 10
_PERIOD_SECONDS = 1.0

_SECONDS_MAX = 1e9  # 31 years


def log_slow_ops(seconds: float | None) -> None:
    """Log operations that take `seconds` or longer, from now on and in the whole process.

    Each gives a line of level WARNING by the logger "asyncuring" (`logging.getLogger`), with what
    it is, path, size, offset and class, how long it took in all, and how much of that it was in
    the backlog, in the kernel, and done without the event loop's taking notice: see
    `OperationStatistics`. It is written when the operation is done, in the loop's thread. There are
    ten lines a second at most; the next one says how many were left out.

    Reads that are done inline, and what is cancelled in the backlog, are never slow. What is not
    logged costs nothing: the C core compares the times that it takes anyhow.

    Args:
        seconds: 0 logs every operation, None (as in the beginning) none.

    Raises:
        ValueError, TypeError: it is negative, above 1e9, or no number.
    """
    if seconds is None:
        note_slow_ops(0)
    elif 0 <= seconds <= _SECONDS_MAX:
        note_slow_ops(max(1, int(seconds * 1e9)))
    else:
        raise ValueError(f"a slow operation takes from 0 to {_SECONDS_MAX:g} s, not {seconds!r}")


class SlowLog:
    """What is to be logged of the slow ops of one event loop."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        """Begin with nothing."""
        self._entries: deque[tuple[str, SlowOp]] = deque()

    def note(self, slow_ops: list[SlowOp], in_flight: Mapping[int, Op]) -> Callable[[], None]:
        """Take over `slow_ops`, which are done, before their entries `in_flight` are gone.

        Returns what is to be called soon, and logs all that was noted: filters and handlers of the
        program, that is.
        """
        for slow in slow_ops:
            op = in_flight.get(slow.token)
            if op is not None:  # a cancel takes as long as its target
                self._entries.append((_words_about(op), slow))
        slow_ops.clear()
        return self._write

    def _write(self) -> None:
        while self._entries:
            _log(*self._entries.popleft())


def _words_about(op: Op) -> str:
    """Say what `op` is; its buffer is the task's again when this is logged."""
    _, account, _, opcode, _, _, argument, flow, _ = op
    kind = Opcode(opcode & OPCODE_MASK)
    what = kind.name.lower()
    if account.name:
        what += f" of {os.fsdecode(account.name)!r}"
    if bytes_of(op):
        what += f", {bytes_of(op)} bytes"
    if kind in _AT_OFFSETS:
        what += f" at {argument}"
    return f"{what}, class {flow.io_class.name!r}"


def _log(what: str, slow: SlowOp) -> None:
    omitted = _limit.enter()
    if omitted is None:
        return
    more = f"; before it {omitted} were not logged" if omitted else ""
    total = slow.backlog + slow.kernel + slow.loop
    _logger.warning(
        "slow %s: %.6f s (backlog %.6f s, kernel %.6f s, loop %.6f s)%s",
        *(what, total, slow.backlog, slow.kernel, slow.loop, more),
    )


class _Limit:
    """At most so many lines in each period, whichever threads write them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0
        self._lines = 0
        self._omitted = 0

    def enter(self) -> int | None:
        """Return how many were omitted since the last line; None: omit this one, too."""
        with self._lock:
            now = time.monotonic()
            if now >= self._until:
                self._until = now + _PERIOD_SECONDS
                self._lines = 0
            if self._lines == _LINES_MAX:
                self._omitted += 1
                return None
            self._lines += 1
            omitted, self._omitted = self._omitted, 0
            return omitted


_limit = _Limit()
