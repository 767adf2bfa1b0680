"""What became of the bars: rows made of the figures of each repeat, and the CSV that keeps them."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, fields, replace
from statistics import median
from typing import TYPE_CHECKING

from benchmark.bar_table import MEANINGS, Bar, bars
from benchmark.contenders import disturbance_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmark.contenders import Figures, Idle, Work

    Measured = dict[Work | Idle, list[Figures | str]]
    """For each contender what each repeat gave: figures, or why there are none."""

YES, NO, STARVES, NOT_MEASURED = "yes", "no", "rival starves clients", "not measured"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of bars.csv. Where a bar is a figure and no ratio, so are the three ratios."""

    bar: str
    what: str
    clients: str
    loop: str
    measure: str
    against: str
    limit: str
    ratio: str = ""
    ratio_min: str = ""
    ratio_max: str = ""
    met: str = NOT_MEASURED
    ours: str = ""
    theirs: str = ""
    repeats: int = 0
    disturbance_percent: str = ""
    """Median over the repeats: what others took of the machine beside the more disturbed side."""
    python: str = ""
    file_system: str = ""
    commit: str = ""
    note: str = ""

    @property
    def identity(self) -> tuple[str, ...]:
        """What a later measurement of the same bar shares."""
        return (self.bar, self.what, self.clients, self.loop, self.measure, self.against)


def blank(bar: Bar) -> Row:
    """Return the row of a bar that was not measured."""
    return Row(
        bar=bar.letter,
        what=bar.what,
        clients=bar.clients,
        loop=bar.ours.loop,
        measure=MEANINGS[bar.figure],
        against=bar.rivals,
        limit=f"{'>=' if bar.at_least else '<='} {bar.limit:g}",
    )


def judge(bar: Bar, measured: Measured) -> Row:
    """Return the row of a bar: the median over the repeats in which all figures are there."""
    repeats, note = _complete(bar, measured)
    row = replace(blank(bar), repeats=len(repeats), note=note)
    if not repeats:
        return row
    best = max if bar.at_least else min
    ours = [_figure(mine, bar) for mine, _ in repeats]
    theirs = [best((_figure(rival, bar) for rival in rivals), default=1.0) for _, rivals in repeats]
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    together = [[mine, *rivals] for mine, rivals in repeats]
    starving = any(rival["starved_clients"] for _, rivals in repeats for rival in rivals)
    reached = median(ratios) >= bar.limit if bar.at_least else median(ratios) <= bar.limit
    return replace(
        row,
        ratio=f"{median(ratios):.4g}",
        ratio_min=f"{min(ratios):.4g}",
        ratio_max=f"{max(ratios):.4g}",
        met=STARVES if bar.fair and starving else YES if reached else NO,
        ours=f"{median(ours):.4g}",
        theirs=f"{median(theirs):.4g}" if bar.against else "",
        disturbance_percent=f"{median(max(map(disturbance_of, all_)) for all_ in together):.2g}",
    )


def _complete(bar: Bar, measured: Measured) -> tuple[list[tuple[Figures, list[Figures]]], str]:
    """Return our figures and the rivals' of each repeat that has them all; and what went wrong."""
    complete: list[tuple[Figures, list[Figures]]] = []
    note = ""
    for mine, *rivals in zip(*(measured[who] for who in (bar.ours, *bar.against)), strict=True):
        known = [figures for figures in rivals if not isinstance(figures, str)]
        if isinstance(mine, str):
            note = mine
        elif len(known) < len(rivals):
            note = next(figures for figures in rivals if isinstance(figures, str))
        else:
            complete.append((mine, known))
    return complete, note


def _figure(figures: Figures, bar: Bar) -> float:
    value = figures[bar.figure]
    assert value is not None
    return value


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a CSV file that `write_rows` wrote; none if there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Row(**{**line, "repeats": int(line["repeats"])})  # type: ignore[arg-type]  # only that
            for line in csv.DictReader(file)
        ]


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Put the rows in the place of older ones of the same bars, in the order of the table."""
    kept = {row.identity: row for row in (*read_rows(path), *rows)}
    # What is no bar any more has no place among them.
    order = [blank(bar).identity for bar in bars()]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(kept[identity]) for identity in order if identity in kept)
