"""Classes of IO: what the ops of a task tree are for. Knows nothing of ours."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["CLASSES_MAX", "DEFAULT", "IoClass", "class_names", "current_class"]

# The most names of classes in one process: what is counted per class has room for so many.
CLASSES_MAX = 32

# That of ops outside any class, and of a class that says nothing else.
_SHARES = 100

_lock = threading.Lock()
_numbers: dict[str, int] = {}


def _number(name: str) -> int:
    """Return the number of the classes of that name, below `CLASSES_MAX`; the same for ever."""
    with _lock:
        if name not in _numbers and len(_numbers) == CLASSES_MAX:
            message = (
                f"there are {CLASSES_MAX} names of classes in this process, and no more are "
                f"possible; give what is alike the same name instead of {name!r}"
            )
            raise ValueError(message)
        return _numbers.setdefault(name, len(_numbers))


def class_names() -> list[str]:
    """Return the names of all classes that there were, by number."""
    return list(_numbers)


class IoClass:
    """What operations are for: those of one class wait for each other, not for other classes'.

    ``with io_class:`` puts the running task into the class, and with it the tasks that it starts
    inside (asyncio tasks and trio nurseries: a context variable, PEP 567). It may be entered by any
    number of tasks, in any number of event loops, and again inside itself or other classes; the
    innermost counts.
    """

    __slots__ = ("_name", "_shares", "number")

    def __init__(self, name: str, shares: int = _SHARES) -> None:
        """Make a class.

        Args:
            name: for the statistics, where classes of the same name count as one. A process can
                have 31 names.
            shares: its weight beside other classes, from 1 to 10 000. Operations that are in no
                class have 100.

        Raises:
            ValueError: there are too many names in this process, or shares are out of range.
        """
        self._name = name
        self._shares = shares
        self.number = _number(name)

    @property
    def name(self) -> str:
        """As given."""
        return self._name

    @property
    def shares(self) -> int:
        """As given."""
        return self._shares

    def __enter__(self) -> Self:
        """Put the running task into this class."""
        _outer.set((*_outer.get(), current_class()))
        _current.set(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Put it back into the class that it was in."""
        *outer, io_class = _outer.get()
        _outer.set(tuple(outer))
        _current.set(io_class)

    def __repr__(self) -> str:
        """Name and shares."""
        return f"<asyncuring.IoClass {self._name!r}, {self._shares} shares>"


DEFAULT = IoClass("default")
"""The class of ops that are in no other."""

_current: ContextVar[IoClass] = ContextVar("asyncuring.IoClass", default=DEFAULT)

# The classes around the current one, for one object cannot keep this for all who entered it.
_outer: ContextVar[tuple[IoClass, ...]] = ContextVar("asyncuring.IoClass.outer", default=())

current_class = _current.get
"""Return the class of the running task."""
