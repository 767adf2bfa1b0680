"""The rules of a simulated disk, as its users add them."""

from __future__ import annotations

import errno
import threading
from typing import TYPE_CHECKING, Any

from ._rules import Rule, Rules

if TYPE_CHECKING:
    from ._rules import Seconds

__all__ = ["Misbehaving"]

# Every op there is, as rules and traces call them.
_OPS = (
    *("nop", "read", "write", "fsync", "fdatasync", "open", "close", "statx", "fallocate"),
    *("ftruncate", "sync_range", "fadvise", "copy_range", "lock", "unlink", "rename", "mkdir"),
    *("link", "symlink"),
)

# What says which operations a rule is for, if nothing is said.
_WHICH: dict[str, Any] = {"path": None, "after": 0, "times": 1, "probability": 1.0}


class Misbehaving:
    """A disk with rules."""

    def __init__(self) -> None:
        """Begin with none."""
        self._rules = Rules()
        self._lock = threading.RLock()

    def fail(
        self,
        *ops: str,
        error: int = errno.EIO,
        path: str | None = None,
        after: int = 0,
        times: int | None = 1,
        probability: float = 1.0,
    ) -> None:
        """Let operations fail.

        They do nothing then. A sync that fails leaves what it was to bring to the media as Linux
        does: the pages count as clean, programs go on to read them, the media never get them, and
        the next sync succeeds (Rebello and others: "Can Applications Recover from fsync Failures?",
        USENIX ATC 2020; https://lwn.net/Articles/752063/).

        Args:
            ops: names such as "read", "write", "fsync", "open", as in the trace; none: any.
            error: an errno, such as EIO, ENOSPC, ECANCELED.
            path: a pattern (fnmatch) for the path in the trace; None: any.
            after: let so many pass before.
            times: let so many fail; None: all that come.
            probability: with which each fails that is neither before nor behind these.

        Raises:
            ValueError: there is no such operation, or a number cannot be used.
        """
        self._add(Rule("fail", ops, path, after, times, probability, error=error))

    def delay(
        self,
        *ops: str,
        seconds: Seconds,
        path: str | None = None,
        after: int = 0,
        times: int | None = None,
        probability: float = 1.0,
    ) -> None:
        """Let operations take time, by the clock of the event loop; see `run` for a virtual one.

        Several rules for one operation add up. What is under way longer is overtaken, and can be
        cancelled.

        Args:
            seconds: how long; or a function that draws it from a `random.Random`, such as
                ``lambda random: random.expovariate(1 / 0.001)``.
            ops, path, after, times, probability: as for `fail`.

        Raises:
            ValueError: as `fail`.
        """
        self._add(Rule("delay", ops, path, after, times, probability, seconds=seconds))

    def shorten(self, *ops: str, **which: Any) -> None:
        """Let reads and writes transfer a part only, one byte at least. See `fail` for which."""
        self._add_which("short", ops, which)

    def rot(self, **which: Any) -> None:
        """Let reads find a bit flipped, on the media too. See `fail` for which."""
        self._add_which("rot", (), which)

    def lose_writes(self, **which: Any) -> None:
        """Let writes succeed that the media never get. See `fail` for which."""
        self._add_which("lose", (), which)

    def misdirect_writes(self, **which: Any) -> None:
        """Let writes succeed that the media get elsewhere in the file. See `fail` for which."""
        self._add_which("misdirect", (), which)

    def _add_which(self, effect: str, ops: tuple[str, ...], which: dict[str, Any]) -> None:
        unknown = which.keys() - _WHICH.keys()
        if unknown:
            raise TypeError(f"unexpected keyword argument {min(unknown)!r}")
        self._add(Rule(effect, ops, **(_WHICH | which)))

    def _add(self, rule: Rule) -> None:
        with self._lock:
            self._rules.add(rule, _OPS)
