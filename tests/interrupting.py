"""KeyboardInterrupt at each of the places where CPython may raise it, one after the other.

CPython looks for signals when a function is entered and when one in C has returned (before 3.11
when any has): those are events of sys.setprofile, whose function can raise there. Loops of Python
end their turns there as well; what comes next is then such a place, too.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncuring

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

    from typing_extensions import Self

PACKAGE = str(Path(asyncuring.__file__).parent)
_EVENTS = ("call", "c_return") if sys.version_info >= (3, 11) else ("call", "c_return", "return")


def places_of(attempt: Callable[[int], str | None]) -> list[str]:
    """Interrupt at one place after the other, until there is none; return where it was.

    attempt: is given the place's number; returns what it was, None if there are not so many.
    """
    places: list[str] = []
    while (place := attempt(len(places) + 1)) is not None:
        places.append(place)
    return places


class Interruption:
    """Raises KeyboardInterrupt at place number `at`, from 1 on, of those in `code`.

    Those of the functions that these call count, too, as far as they are the library's and no
    coroutines. Where a loop enters one counts only if `entering`: its callback is lost there.

    Attributes:
        place: where it was raised; None if there are not so many.
    """

    def __init__(self, at: int, *functions: Callable[..., Any], entering: bool = False) -> None:
        self._left = at
        self._entering = entering
        self._codes: set[CodeType] = {function.__code__ for function in functions}
        self.place: str | None = None

    def __enter__(self) -> Self:
        sys.setprofile(self._look)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _look(self, frame: FrameType, event: str, what: Any) -> None:
        if event not in _EVENTS or not self._is_within(frame):
            return
        if frame.f_code.co_flags & inspect.CO_GENERATOR:
            return  # it yields, or ends in a destructor, where an exception goes unheard
        if event == "return" and frame.f_code.co_flags & inspect.CO_COROUTINE:
            return  # it awaits, at which nobody looks for signals
        is_entered = event == "call" and not self._is_within(frame.f_back)
        if is_entered and not self._entering:
            return
        self._left -= 1
        if self._left == 0:
            name = getattr(what, "__name__", "")
            self.place = f"{frame.f_code.co_name}:{frame.f_lineno}, {event} {name}"
            raise KeyboardInterrupt

    def _is_within(self, frame: FrameType | None) -> bool:
        while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
            if frame.f_code.co_name == "__del__":
                return False  # garbage that is collected by chance; and an exception goes unheard
            if frame.f_code in self._codes:
                return True
            if frame.f_code.co_flags & inspect.CO_COROUTINE:
                return False
            frame = frame.f_back
        return False
