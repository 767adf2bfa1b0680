"""What can be called with arguments, read from the library: nobody need remember to add to it.

A callable is public if its class or itself is in `asyncuring.__all__` and the manual shows it. What
it may raise is what its docstring says under "Raises".
"""

from __future__ import annotations

import builtins
import inspect
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncuring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MANUAL = Path(__file__).parents[2] / "docs" / "reference.rst"

# Classes that the library makes, and programs do not.
MADE_BY_THE_LIBRARY = {"AppendingFile", "Chain", "Step", "UringFile"}

_ENTRY = re.compile(r"    ([A-Za-z][\w., ]*): ?")
_REFERENCE = re.compile(r"errors are as for\s+`(\w+)`")


@dataclass(frozen=True)
class Target:
    """A public callable. owner: its class, None of a function. errors: what it may raise."""

    name: str
    owner: type | None
    is_constructor: bool
    parameters: tuple[inspect.Parameter, ...]
    errors: tuple[type[Exception], ...]

    def __repr__(self) -> str:
        return self.name

    def bound_to(self, owner: Any) -> Callable[..., Any]:
        """The callable itself; `owner` is an object of its class, if it is a method."""
        if self.owner is None or self.is_constructor:
            function: Callable[..., Any] = getattr(asyncuring, self.name)
        else:
            function = getattr(owner, self.name.rpartition(".")[2])
        return function


def documented_errors(docstring: str, owner: object) -> set[type[Exception]]:
    """The exceptions under "Raises", and those of what the docstring refers to for its errors."""
    found: set[type[Exception]] = set()
    text = inspect.cleandoc(docstring)
    for line in text.partition("\nRaises:\n")[2].splitlines():
        entry = _ENTRY.match(line)
        if entry is not None:
            found |= {_exception(name) for name in entry[1].split(", ")}
    for name in _REFERENCE.findall(text):
        found |= documented_errors(getattr(owner, name).__doc__, owner)
    return found


def _exception(name: str) -> type[Exception]:
    for place in (builtins, asyncuring, io):
        error = getattr(place, name.removeprefix("io."), None)
        if isinstance(error, type) and issubclass(error, Exception):
            return error
    message = f"{name} is documented, and is no exception"
    raise AssertionError(message)


def _hidden() -> set[str]:
    """Names that the manual leaves out, for they are there for the library itself."""
    line, *_ = re.findall(r":exclude-members:(.*)", MANUAL.read_text())  # of asyncuring itself
    return set(re.split(r"[,\s]+", line))


def _parameters(function: Callable[..., Any]) -> tuple[inspect.Parameter, ...]:
    parameters = inspect.signature(function).parameters.values()
    return tuple(parameter for parameter in parameters if parameter.name not in {"self", "cls"})


def _methods(owner: type) -> Iterator[Target]:
    for name, function in inspect.getmembers(owner, inspect.isfunction):
        if name.startswith("_") or name in _hidden():
            continue
        if not function.__module__.startswith("asyncuring."):
            continue
        errors = documented_errors(function.__doc__ or "", owner)
        yield Target(f"{owner.__name__}.{name}", owner, False, _parameters(function), tuple(errors))


def _constructor(owner: type) -> Target:
    docstrings = (owner.__doc__ or "", vars(owner).get("__init__", owner).__doc__ or "")
    errors = set().union(*(documented_errors(text, owner) for text in docstrings))
    return Target(owner.__name__, owner, True, _parameters(owner), tuple(errors))


def _is_value(owner: type) -> bool:
    """Whether the objects only tell something: dataclasses and named tuples."""
    return hasattr(owner, "__dataclass_fields__") or issubclass(owner, tuple)


def targets() -> list[Target]:
    found: list[Target] = []
    for name in asyncuring.__all__:
        public: Any = getattr(asyncuring, name)
        if inspect.isfunction(public):
            errors = documented_errors(public.__doc__ or "", asyncuring)
            found.append(Target(name, None, False, _parameters(public), tuple(errors)))
        elif inspect.isclass(public) and not issubclass(public, BaseException):
            if not (_is_value(public) or name in MADE_BY_THE_LIBRARY):
                found.append(_constructor(public))
            found += _methods(public)
    return found
