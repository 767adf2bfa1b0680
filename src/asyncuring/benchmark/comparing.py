"""Two sweeps side by side, for people and for the exit status."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from asyncuring.benchmark import terminal
from asyncuring.benchmark.comparison import BAD, SHOWN, Verdict, compare
from asyncuring.benchmark.noise import Ratio
from asyncuring.benchmark.records import read_records
from asyncuring.benchmark.report.combination import varying
from asyncuring.benchmark.report.describing import describe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from asyncuring.benchmark.comparison import Compared
    from asyncuring.benchmark.recording import Record

EXIT_SLOWER = 1

HEADINGS = ("ops/s", "may be", "CPU per op", "p50", "p99")
"""Of the figures in `comparison.SHOWN`, with the limits of the first, which decides."""

HOST_FACTS = ("machine", "cpu", "cpus", "kernel", "python", "file_system", "device", "commit")


def show(before: Path, after: Path, tolerance: float) -> int:
    """Print the ratios of what both have; return the exit status."""
    befores, afters = read_records(before), read_records(after)
    comparison = compare(befores, afters, tolerance)
    terminal.console.print(
        f"{after} divided by {before}, and between which limits chance may have moved ops/s:\n",
        soft_wrap=True,
    )
    settings = list(dict.fromkeys(row.combination.setting for row in comparison.compared))
    for setting, rows in groupby(comparison.compared, key=lambda row: row.combination.setting):
        words = describe(setting, varying(settings))
        if words:
            terminal.console.print(f"{', '.join(words)}:", soft_wrap=True)
        terminal.console.print(_table(list(rows)))
        terminal.console.print()
    for count, where in ((comparison.only_before, before), (comparison.only_after, after)):
        if count:
            terminal.show_note(f"note: {count} combinations are in {where} alone")
    _show_hosts(befores, afters)
    _show_ceilings(comparison.compared)
    bad = sum(row.verdict in BAD for row in comparison.compared)
    terminal.show_note(
        f"{bad} of {len(comparison.compared)} combinations are slower by more than {tolerance:.1%},"
        " or fail"
    )
    return EXIT_SLOWER if comparison.is_bad else 0


def _table(rows: Sequence[Compared]) -> Table:
    table = Table(header_style="bold", box=box.SIMPLE_HEAD, collapse_padding=True, show_edge=False)
    table.add_column("clients", justify="right", no_wrap=True)
    for name in ("engine", "loop", *HEADINGS, "verdict"):
        table.add_column(name, no_wrap=True)
    for row in rows:
        engine, loop = row.combination.engine, row.combination.loop
        first, *others = (row.ratios[name] for name in SHOWN)
        table.add_row(
            str(row.combination.clients),
            engine,
            loop if row.combination.loops == 1 else f"{loop} x{row.combination.loops}",
            _value(first),
            f"{first.low:.2f} to {first.high:.2f}" if isinstance(first, Ratio) else "",
            *map(_value, others),
            row.verdict.value,
            style="red" if row.verdict in BAD else "",
        )
    return table


def _value(ratio: Ratio | float | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio.value if isinstance(ratio, Ratio) else ratio:.2f}"


def _show_hosts(before: Sequence[Record], after: Sequence[Record]) -> None:
    """Say what else than the code may have made the difference."""
    for name in HOST_FACTS:
        first, second = before[0].get(name), after[0].get(name)
        if first != second:
            terminal.show_note(f"note: {name} was {first}, then {second}")


def _show_ceilings(rows: Sequence[Compared]) -> None:
    for row in rows:
        ratio = row.ratios[SHOWN[0]]
        if row.verdict is Verdict.CEILING and isinstance(ratio, Ratio) and ratio.certain:
            combination = row.combination
            terminal.show_note(
                f"note: {combination.contender} with {combination.clients} clients, which does no"
                " IO, differs as well: so do the machine, Python, or the harness"
            )
