"""Classes of IO: what the ops of a task tree are for. Knows nothing of ours."""

from __future__ import annotations

import os
import threading
from contextvars import ContextVar
from math import ceil, inf
from operator import index
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["CLASSES_MAX", "DEFAULT", "IoClass", "class_names", "current_class"]

# The most names of classes in one process: what is counted per class has room for so many.
CLASSES_MAX = 32

# That of ops outside any class, and of a class that says nothing else.
_SHARES, _SHARES_MAX = 100, 10_000

# What a float can count with: an op every 31 years, and more than there is memory.
_RATE_MIN, _RATE_MAX = 1e-9, 1e18

# How long a bucket takes to fill. It makes up for an event loop that is late, which is mostly by a
# few milliseconds.
_BURST_NS = 20_000_000

_lock = threading.Lock()
_classes: dict[str, IoClass] = {}


def class_names() -> list[str]:
    """Return the names of all classes that there were, by number."""
    return list(_classes)


class IoClass:
    """What operations are for. Those of one class wait for each other, not for other classes'.

    ``with io_class:`` puts the running task into the class, and with it the tasks that it starts
    inside (asyncio tasks and trio nurseries: a context variable, PEP 567). It may be entered by any
    number of tasks, in any number of event loops, and again inside itself or other classes; the
    innermost counts. Operations that are in no class are in one of their own, with 100 shares.

    As long as operations of one class only are under way, they are served in order, as far as there
    is depth. Where several classes are at work in one event loop, an operation costs its bytes and
    32 KiB, and each class gets its shares of what the file system can do: who asks for less leaves
    the rest to the others. Then about as much is in flight as 16 reads of 8 KiB cost, of which each
    class finds its part free even if it has nothing to do for up to 0.1 s: so a class that floods
    the loop with operations cannot fill the device's queue before the others.

    Each event loop sees to its own operations only.

    A process has one class of a name: made again with the same numbers, it is the same class.

    Args:
        name: for the statistics, too. A process can have 31 names.
        shares: its weight beside other classes, from 1 to 10 000.
        depth: the most of its operations that one event loop has in flight at a time.
        bytes_per_second: the most that it reads and writes, in all event loops together; 1e-9 at
            least.
        ops_per_second: the most of its operations that are begun, likewise. Both kinds of rate hold
            over any time, but for what 20 ms bring and for one operation. Reads of a class with a
            rate never take place in the calling thread (see `open_file`).

    Raises:
        ValueError: a number is out of range, the name has a class with other numbers, or there are
            too many names in this process.
        TypeError: the name is no str, shares or depth are no whole number, a rate is no number.
    """

    __slots__ = (
        "_name",
        "_numbers",
        "_paces",
        "_shares",
        "depth",
        "has_limits",
        "has_rates",
        "number",
    )

    number: int
    depth: int | None
    has_rates: bool
    has_limits: bool
    _name: str
    _shares: int
    _numbers: tuple[int, int | None, float | None, float | None]
    _paces: tuple[_Pace, ...]

    def __new__(
        cls,
        name: str,
        shares: int = _SHARES,
        *,
        depth: int | None = None,
        bytes_per_second: float | None = None,
        ops_per_second: float | None = None,
    ) -> Self:
        """Make the class of that name, or return it."""
        if not isinstance(cast("object", name), str):
            message = f"the name of a class is a str, not {type(name).__name__}"
            raise TypeError(message)
        numbers = _checked(shares, depth, bytes_per_second, ops_per_second)
        shares, depth, bytes_per_second, ops_per_second = numbers
        self = super().__new__(cls)
        self._name = name
        self._numbers = numbers
        self._shares = shares
        self._paces = (_Pace(bytes_per_second), _Pace(ops_per_second))
        self.depth = depth
        self.has_rates = bytes_per_second is not None or ops_per_second is not None
        self.has_limits = self.has_rates or depth is not None
        with _lock:
            self.number = len(_classes)
            if name not in _classes and self.number == CLASSES_MAX:
                message = (
                    f"there are {CLASSES_MAX} classes in this process, and no more are possible; "
                    f"put what is alike into the same class, and not into {name!r}"
                )
                raise ValueError(message)
            known = _classes.setdefault(name, self)
        if known._numbers != numbers:  # noqa: SLF001  of the same class
            message = f"there is a class {name!r} with other numbers: {known!r}"
            raise ValueError(message)
        return cast("Self", known)

    @property
    def name(self) -> str:
        """As given."""
        return self._name

    @property
    def shares(self) -> int:
        """As given."""
        return self._shares

    def admit(self, size: int, now: int) -> int:
        """Let an op of `size` bytes begin, if the rates allow; else return when they may.

        Called where it is to be submitted (`_flows`).

        now: in nanoseconds, of a clock that all loops share.
        """
        amounts = (size, 1)
        with _lock:
            at = max(pace.next_at(now) for pace in self._paces)
            if at <= now:
                for pace, amount in zip(self._paces, amounts):  # noqa: B905  one for each
                    pace.spend(amount, now)
            return at

    def __enter__(self) -> Self:
        """Put the running task into this class."""
        _outer.set((*_outer.get(), current_class()))
        _current.set(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Put it back into the class that it was in."""
        if current_class() is self:  # not so if a coroutine is destroyed, wherever that happens
            *outer, io_class = _outer.get()
            _outer.set(tuple(outer))
            _current.set(io_class)

    def __repr__(self) -> str:
        """Name and numbers, as they were given."""
        shares, *limits = self._numbers
        names = ("depth", "bytes_per_second", "ops_per_second")
        given = [f", {what}={limit}" for what, limit in zip(names, limits) if limit is not None]  # noqa: B905  one for each
        return f"asyncuring.IoClass({self._name!r}, shares={shares}{''.join(given)})"


def _checked(
    shares: int, depth: int | None, bytes_per_second: float | None, ops_per_second: float | None
) -> tuple[int, int | None, float | None, float | None]:
    """Return the numbers as what they are to be; ValueError or TypeError if they cannot be that."""
    shares = index(shares)
    if not 1 <= shares <= _SHARES_MAX:
        message = f"shares must be between 1 and {_SHARES_MAX}, not {shares}"
        raise ValueError(message)
    if depth is not None and (depth := index(depth)) < 1:
        message = f"depth must be 1 or more, or None, not {depth}"
        raise ValueError(message)
    rates = {"bytes_per_second": bytes_per_second, "ops_per_second": ops_per_second}
    for what, rate in rates.items():
        if rate is not None and not _RATE_MIN <= rate <= _RATE_MAX:
            message = f"{what} must be between {_RATE_MIN} and {_RATE_MAX}, or None, not {rate}"
            raise ValueError(message)
    return shares, depth, bytes_per_second, ops_per_second


class _Pace:
    """A token bucket, kept as the time at which it is full again.

    Known from ATM networks as the virtual scheduling algorithm (GCRA, ITU-T I.371).
    """

    __slots__ = ("_full_at", "_ns_per_unit")

    def __init__(self, per_second: float | None) -> None:
        self._ns_per_unit = 1e9 / float(per_second) if per_second else 0.0
        self._full_at = -inf

    def next_at(self, now: int) -> int:
        """When the bucket is not empty: now, or later."""
        return max(now, ceil(self._full_at) - _BURST_NS) if self._full_at > now else now

    def spend(self, amount: int, now: int) -> None:
        """Take out more than there may be: then it takes longer until there is some again."""
        self._full_at = max(self._full_at, now) + amount * self._ns_per_unit


def _after_fork_in_child() -> None:
    global _lock  # noqa: PLW0603  the child has its own
    _lock = threading.Lock()  # another thread may have held it


os.register_at_fork(after_in_child=_after_fork_in_child)

DEFAULT = IoClass("default")
"""The class of ops that are in no other."""

_current: ContextVar[IoClass] = ContextVar("asyncuring.IoClass", default=DEFAULT)

# The classes around the current one, for one object cannot keep this for all who entered it.
_outer: ContextVar[tuple[IoClass, ...]] = ContextVar("asyncuring.IoClass.outer", default=())

current_class = _current.get
"""Return the class of the running task."""
