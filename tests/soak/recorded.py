"""A soak as a row of docs/attacks.csv, a short one of the stress tests and a long one alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.stress.attacks import Attack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.soak.table import Bar
    from tests.soak.tally import Tally

__all__ = ["kill_attack", "soak_attack"]


def soak_attack(  # noqa: PLR0913, PLR0917  all that the row tells
    clients: int,
    drivers: Sequence[str],
    loops: Sequence[str],
    seconds: float,
    tally: Tally,
    bars: Sequence[Bar],
) -> Attack:
    """Return the row of a soak."""
    ends = tally.ends
    return Attack(
        "soak",
        f"{clients} clients, mixed operations, random cancels and timeouts",
        _pairs(drivers, loops),
        f"{sum(tally.ops.values())} ops in {seconds:g} s, {ends['cancelled']} cancelled, "
        f"{ends['timed out']} timed out",
        f"{tally.verified} contents verified; {_values(bars)}",
    )


def kill_attack(  # noqa: PLR0913, PLR0917  as above
    drivers: Sequence[str],
    loops: Sequence[str],
    seconds: float,
    tally: Tally,
    bars: Sequence[Bar],
    counts: Mapping[str, int],
) -> Attack:
    """Return the row of processes that were killed."""
    told = sum(count for name, count in counts.items() if name.startswith("acknowledged"))
    return Attack(
        "soak",
        "kill -9 of a process that makes things durable (the page cache stays)",
        _pairs(drivers, loops),
        f"{counts['processes killed']} processes in {seconds:g} s, {told} acknowledgements",
        f"{tally.verified} contents verified; {_values(bars)}",
    )


def _pairs(drivers: Sequence[str], loops: Sequence[str]) -> str:
    return f"{', '.join(drivers)}; {', '.join(loops)}"


def _values(bars: Sequence[Bar]) -> str:
    return ", ".join(f"{bar.name}: {bar.value}" for bar in bars)
