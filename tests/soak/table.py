"""The table that a soak ends with, and the bars that it must meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.soak.process import State
    from tests.soak.tally import Tally

__all__ = ["Bar", "bars_of", "growth", "table"]

_GROWTH_PERCENT_MAX = 5.0


class Bar(NamedTuple):
    """What was to be met, and what came."""

    name: str
    value: str
    wanted: str
    is_met: bool


def bars_of(tally: Tally) -> list[Bar]:
    """Return what must be 0."""
    return [Bar(name, str(count), "0", count == 0) for name, count in tally.bars.items()]


def growth(warm: State, end: State) -> list[Bar]:
    """Compare with what the process had after the warming up."""
    percent = 100.0 * (end.rss_kib - warm.rss_kib) / warm.rss_kib
    value = f"{percent:+.1f} %, {warm.rss_kib} to {end.rss_kib} KiB"
    wanted = f"< {_GROWTH_PERCENT_MAX:g} %"
    return [
        Bar("resident memory", value, wanted, percent < _GROWTH_PERCENT_MAX),
        Bar("descriptors", f"{warm.fds} to {end.fds}", "no more", end.fds <= warm.fds),
        Bar("threads", f"{warm.threads} to {end.threads}", "no more", end.threads <= warm.threads),
    ]


def table(tally: Tally, bars: Sequence[Bar], rounds: Mapping[str, int]) -> str:
    """Return the lines to print."""
    ops = sorted(tally.ops.items(), key=lambda item: -item[1])
    lines = _rows("rounds", rounds.items())
    if ops:
        lines += _rows("ops", [*ops, ("in all", sum(tally.ops.values()))])
        lines += _rows("interruptions", sorted(tally.ends.items()))
    verified = [("contents verified", tally.verified), ("of these, beside a write", tally.beside)]
    lines += _rows("reads", verified)
    lines += ["", "bars"]
    lines += [
        f"  {bar.name:36} {bar.value:>32}   {bar.wanted:10} {'met' if bar.is_met else 'MISSED'}"
        for bar in bars
    ]
    return "\n".join([*lines, *(f"  {message}" for message in tally.messages), ""])


def _rows(title: str, rows: Iterable[tuple[str, int]]) -> list[str]:
    return ["", title, *(f"  {name:36} {count:>12}" for name, count in rows)]
