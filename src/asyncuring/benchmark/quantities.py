"""Numbers and names as people type them. Each function refuses with a sentence."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SIZE_UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

TIME_UNITS = {"ms": 1e-3, "s": 1.0}


def size(text: str) -> int:
    """Return the bytes of, for example, ``8KiB``."""
    match = re.fullmatch(r"(\d+)([A-Za-z]*)", text)
    if not match or match[2] not in SIZE_UNITS or int(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 512, 8KiB or 256MiB")
    return int(match[1]) * SIZE_UNITS[match[2]]


def seconds(text: str) -> float:
    """Return the seconds of, for example, ``500ms``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([a-z]+)", text)
    if not match or match[2] not in TIME_UNITS or float(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 3s or 500ms")
    return float(match[1]) * TIME_UNITS[match[2]]


def count(text: str) -> int:
    """Return a whole number from 1 on."""
    if not re.fullmatch(r"\d+", text) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def counts(text: str) -> tuple[int, ...]:
    """Return the numbers of a comma-separated list, each once."""
    return tuple(dict.fromkeys(count(part) for part in text.split(",")))


def counts_or_none(text: str) -> tuple[int, ...]:
    """Return the numbers of a comma-separated list, each once; 0 may be among them."""
    return tuple(dict.fromkeys(0 if part == "0" else count(part) for part in text.split(",")))


def whole(text: str) -> int:
    """Return a whole number, which may be negative."""
    if not re.fullmatch(r"-?\d+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def share(text: str) -> float:
    """Return, for example, 0.05 for ``5%`` or for ``0.05``; at most 1."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", text)
    value = float(match[1]) / (100 if match[2] else 1) if match else 2
    if value > 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share such as 5% or 0.05")
    return value


def one_of(known: Iterable[str]) -> Callable[[str], str]:
    """Return a function that takes one known name."""
    known = tuple(known)

    def parse(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(known)}")
        return text

    return parse


def names(known: Iterable[str]) -> Callable[[str], tuple[str, ...]]:
    """Return a function that takes a comma-separated list of known names, each once."""
    known = tuple(known)

    def parse(text: str) -> tuple[str, ...]:
        for name in text.split(","):
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(known)}")
        return tuple(dict.fromkeys(text.split(",")))

    return parse
