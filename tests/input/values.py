"""Values that an argument may have: a sound one for each name, and wild ones for any.

A wild value is made anew for each call, by a function that gets the `Surroundings` of the call.
"""

from __future__ import annotations

import array
import ctypes
import gc
import math
import mmap
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import asyncuring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.input.attempt import Surroundings

    Make = Callable[[Surroundings], Any]


class HostileError(Exception):
    """What a hostile object raises: it comes out as it is."""


# What the values' own operators raise: also a NaN that is compared, and an iteration over a
# memoryview of several dimensions.
OF_THE_VALUES = (HostileError, InvalidOperation, NotImplementedError)


def _raising(name: str) -> Make:
    """An object whose special method raises."""

    def method(*_args: object) -> Any:
        raise HostileError(name)

    return lambda _: type(f"Raises in {name}", (), {name: method})()


def _giving(name: str, given: Any) -> Make:
    """An object whose special method returns something that it must not, or need not."""
    return lambda _: type(f"Gives from {name}", (), {name: lambda *_args: given})()


def _reentering(name: str, enter: Callable[[Surroundings], Any], given: Make) -> Make:
    """An object that uses the library from within its special method."""

    def make(surroundings: Surroundings) -> Any:
        def method(*_args: object) -> Any:
            enter(surroundings)
            return given(surroundings)

        return type(f"Enters from {name}", (), {name: method})()

    return make


def _use(surroundings: Surroundings) -> None:
    """What can be done at any time."""
    asyncuring.statistics()
    surroundings.pool.statistics()
    asyncuring.IoClass("fuzz")
    gc.collect(0)
    with suppress(RuntimeError):
        surroundings.chain.fsync()


def _close(surroundings: Surroundings) -> None:
    """Close the file, as far as that goes without waiting."""
    surroundings.pool.close()
    closing = surroundings.file.aclose()
    with suppress(StopIteration):
        closing.send(None)
    closing.close()


def _closed_mmap(_: Surroundings) -> mmap.mmap:
    closed = mmap.mmap(-1, 4096)
    closed.close()
    return closed


def _released(_: Surroundings) -> memoryview:
    view = memoryview(bytearray(8))
    view.release()
    return view


def _failing_generator(_: Surroundings) -> Iterator[object]:
    yield bytearray(8)
    raise HostileError


class _LyingInt(int):
    def __index__(self) -> int:
        raise HostileError


class _Equal:
    """Equal to everything, with the hash of a string that the library knows."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash("r")


def _constant(value: object) -> Make:
    return lambda _: value


NUMBERS: list[Any] = [
    *(0, 1, -1, 2, 7, 255, 256, 511, 512, 4096, 4097, 0o7777, 0o10000),
    *(2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 2, 2**63 - 1, 2**63, 2**64, -(2**63), 10**400),
    *(True, False, 0.0, -0.0, 1.0, 1.5, 5e-324, 1e-300, 1e308, 1e309, -1.0, math.nan, -math.inf),
    *(Decimal(1), Decimal("nan"), Fraction(1, 3), 1j, np.int8(1), np.int64(-1)),
    *(np.uint64(2**64 - 1), np.float64(1), np.bool_(True)),
]  # fmt: skip

TEXTS: list[Any] = [
    *("", "text", "with\0nul", "\udcff", "\ud800", "ä" * 300, "x" * 5000, ".", ".."),
    *("file", "new/"),
    *("r", "r+", "w+", "x+", "a", "rb", "uring", "threads", "magic", "ring", "inline", "normal"),
    *(b"", b"with\0nul", b"\xff", b"file", Path("file"), Path("no/such/path")),
]  # fmt: skip

OBJECTS: list[Any] = [
    *(None, ..., object, len, print, int, TypeError()),
    *([], [[]], (), {}, {"a": 1}, set(), [1], [None], [(1,)], [(1, 2, 3)], ["ab"], range(3)),
    *([(None, 0)], [({}, 0)], [(1, 2)], [[1]], [b"abc"], slice(None), np.array([1, 2])),
]  # fmt: skip

MADE: list[Make] = [
    lambda here: here.buffer(0),
    lambda here: here.buffer(8),
    lambda here: here.buffer(4096),
    lambda here: memoryview(here.buffer(8)),
    lambda here: memoryview(here.buffer(8))[::2],
    lambda here: memoryview(here.buffer(8))[::-1],
    lambda here: memoryview(here.buffer(8)).toreadonly(),
    lambda here: memoryview(here.buffer(8)).cast("B", (2, 4)),
    lambda here: memoryview(here.buffer(8))[8:],
    lambda here: [here.buffer(8), here.buffer(8)],
    lambda here: [here.buffer(8), memoryview(here.buffer(8))[::2]],
    lambda here: [here.buffer(1)] * 1025,
    lambda here: [(here.buffer(8), 0)],
    lambda here: [(here.buffer(8), 0), (here.buffer(8), -1)],
    lambda here: [(here.buffer(8), 2**62), [here.buffer(8), 4096]],
    lambda _: {(b"bytes", 0)},
    lambda here: iter([here.buffer(8)]),
    lambda here: here.file,
    lambda here: here.pool,
    lambda here: here.chain,
    lambda here: here.view,
    _closed_mmap,
    _released,
    _failing_generator,
    lambda _: mmap.mmap(-1, 4096, access=mmap.ACCESS_READ),
    lambda _: array.array("d", [1.0]),
    lambda _: ctypes.create_string_buffer(8),
    lambda _: (ctypes.c_uint64 * 0)(),
    lambda _: np.array([None, "x"]),
    lambda _: np.zeros((4, 4), order="F"),
    lambda _: np.zeros(0),
    lambda _: np.array(1),
    lambda _: np.zeros(2, [("a", "i4"), ("b", "O")]),
    lambda _: object(),
    lambda _: _LyingInt(5),
    lambda _: _Equal(),
    *map(_raising, ["__index__", "__fspath__", "__bool__", "__eq__", "__hash__", "__iter__"]),
    *map(_raising, ["__len__", "__getitem__", "__lt__", "__repr__", "__float__", "__buffer__"]),
    *(_giving("__index__", given) for given in (5, -1, 2**63, 1.5, "5", None)),
    *(_giving("__fspath__", given) for given in ("file", "with\0nul", "\ud800", 3, None, b"file")),
    *(_giving("__buffer__", given) for given in (memoryview(b"12345678"), 3, None)),
    *(_giving("__iter__", given) for given in (iter([b"12345678"]), 3)),
    *(_reentering("__index__", enter, _constant(5)) for enter in (_use, _close)),
    *(_reentering("__fspath__", enter, _constant("file")) for enter in (_use, _close)),
    *(_reentering("__bool__", enter, _constant(True)) for enter in (_use, _close)),
    *(
        _reentering("__buffer__", enter, lambda here: memoryview(here.buffer(8)))
        for enter in (_use, _close)
    ),
]

WILD: list[Make] = [*map(_constant, [*NUMBERS, *TEXTS, *OBJECTS]), *MADE]

# For the parameters that have no default, by callable and name or by name alone. One that is not
# here gets wild values only.
SOUND: dict[str, Make] = {
    "path": _constant("file"),
    "mkdir.path": _constant("new"),
    "rmdir.path": _constant("folder"),
    "sync_directory.path": _constant("folder"),
    "source": _constant("file"),
    "target": _constant("new"),
    "copy_range.target": lambda here: here.file,
    "buf": lambda here: here.buffer(64),
    "bufs": lambda here: [here.buffer(8), here.buffer(8)],
    "requests": lambda here: [(here.buffer(8), 0), (here.buffer(8), 8)],
    "data": lambda here: here.buffer(64),
    "off": _constant(4096),
    "source_off": _constant(0),
    "target_off": _constant(8192),
    "length": _constant(4096),
    "size": _constant(4096),
    "advice": _constant("normal"),
    "view": lambda here: here.view,
    "uring_file": lambda here: here.file,
    "buffer_size": _constant(4096),
    "count": _constant(2),
    "name": _constant("fuzz"),
    "q": _constant(0.5),
    "others": _constant(()),
    "earlier": lambda here: here.histogram,
    "seconds": _constant(None),
    "_args": _constant(()),
    "_flags": _constant({}),
}
