"""Places of labels that would stand upon each other, and ticks of logarithmic axes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TICKS_MIN = 3


def apart(wanted: Sequence[float], gap: float) -> list[float]:
    """Return places between 0 and 1, as near to the wanted ones as ``gap`` between them allows.

    Neighbours that are too near become a group, which stands around the middle of what its
    members want. Nobody overtakes.
    """
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    groups: list[list[float]] = []
    for index in order:
        groups.append([wanted[index]])
        while len(groups) > 1 and _lowest(groups[-1], gap) < _lowest(groups[-2], gap) + gap * len(
            groups[-2]
        ):
            last = groups.pop()
            groups[-1].extend(last)
    places = [_lowest(group, gap) + gap * place for group in groups for place in range(len(group))]
    found = [0.0] * len(wanted)
    for index, place in zip(order, places, strict=True):
        found[index] = place
    return found


def _lowest(group: Sequence[float], gap: float) -> float:
    """Return where the lowest of the group stands: all of it between 0 and 1, if it fits."""
    extent = gap * (len(group) - 1)
    middle = sum(group) / len(group)
    return max(0.0, min(middle - extent / 2, 1 - extent))


def spaced(values: Sequence[float], times: float) -> list[bool]:
    """Return which of the growing values are so many times the one before; the last always is."""
    kept: list[float] = []
    for value in reversed(values):
        if not kept or value * times <= kept[-1]:
            kept.append(value)
    return [value in kept for value in values]


def log_ticks(low: float, high: float) -> list[float]:
    """Return round numbers from low to high: powers of ten, more if those are few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1,), (1, 2, 5), (1, 2, 3, 5, 7)):
        ticks = [digit * 10.0**power for power in powers for digit in digits]
        shown = [tick for tick in ticks if low <= tick <= high]
        if len(shown) >= TICKS_MIN:
            break
    return shown


def short(value: float) -> str:
    """Return a tick's number in few letters: 0.5, 20, 300k, 4M."""
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= factor:
            return f"{value / min(factor, 1e3 if letter == 'k' else factor):g}{letter}"
    return f"{value:g}"
