"""Figures as people read them: few digits, thousands apart, units beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncuring.benchmark.report.describing import SIZES

if TYPE_CHECKING:
    from collections.abc import Callable

NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"

EN_DASH = "\N{EN DASH}"

NOTHING = EN_DASH
"""Where nothing was measured."""


def grouped(value: float | None) -> str:
    """Return a whole number, thousands apart."""
    return NOTHING if value is None else f"{value:,.0f}".replace(",", NARROW_SPACE)


def figure(value: float | None) -> str:
    """Return three digits, or a whole number where there are more before the point."""
    if value is None:
        return NOTHING
    if abs(value) >= 100:  # noqa: PLR2004 - three digits
        return grouped(value)
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"  # noqa: PLR2004 - likewise


def factor(value: float) -> str:
    """Return how many times: two digits behind the point while they tell something."""
    return f"{value:.2f}" if value < 10 else grouped(value)  # noqa: PLR2004 - two digits before it


def percent(value: float | None) -> str:
    """Return a part of 1 in percent."""
    return NOTHING if value is None else f"{100 * value:.0f}{NARROW_SPACE}%"


def mebibytes(value: float | None) -> str:
    """Return bytes in MiB, without the unit."""
    return NOTHING if value is None else figure(value / (1 << 20))


def counted(count: int, thing: str) -> str:
    """Return, for example, ``1 client`` or ``400 clients``."""
    return f"{grouped(count)} {thing}{'' if count == 1 else 's'}"


def several(counts: list[int]) -> str:
    """Return a list as it is spoken: ``1, 8 and 64``."""
    *others, last = map(grouped, counts)
    return f"{', '.join(others)} and {last}" if others else last


def fact(value: Any, name: str) -> str:
    """Return a fact of the host in words."""
    if value is None:
        return "unknown"
    if isinstance(value, dict):
        known = {key: item for key, item in value.items() if item is not None}
        return ", ".join(f"{key.replace('_', ' ')} {item}" for key, item in known.items()) or "none"
    if isinstance(value, list):
        return " ".join(map(str, value))
    if name.endswith("_bytes"):
        unit, letters = next((unit, letters) for unit, letters in SIZES if value >= unit)
        return f"{value / unit:.3g} {letters}"
    return str(value)


FILTERS: dict[str, Callable[..., str]] = {
    "grouped": grouped,
    "figure": figure,
    "factor": factor,
    "percent": percent,
    "mebibytes": mebibytes,
    "counted": counted,
    "several": several,
    "fact": fact,
}
"""By the names that the page has for them."""
