"""What a person sees while a sweep runs and when it is done."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.filesize import decimal as readable_size
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from asyncuring.benchmark.noise import REPEATS_MIN
from asyncuring.benchmark.report.combination import varying
from asyncuring.benchmark.report.describing import describe
from asyncuring.benchmark.report.notes import failures_of, notes_of
from asyncuring.benchmark.report.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from asyncuring.benchmark.recording import Record
    from asyncuring.benchmark.report.harness import HarnessCost
    from asyncuring.benchmark.report.totals import Totals
    from asyncuring.benchmark.time_left import TimeLeft

WIDTH_MIN = 120
"""Columns that the table needs. A file or a pipe has no width of its own."""

RANKED = "by ops/s, without null and bare; who is not told apart by the repeats shares places"

NOT_RANKED = f"none, for that takes two engines that do IO, and {REPEATS_MIN} repeats of each"

console = Console(highlight=False)
if not console.is_terminal:
    console.width = max(console.width, WIDTH_MIN)


class _LeftColumn(ProgressColumn):
    """The time left as the sweep knows it: its trials are not all of one length."""

    def __init__(self, left: TimeLeft) -> None:
        super().__init__()
        self._left = left

    def render(self, _task: Task) -> Text:
        return Text(str(self._left), style="progress.remaining")


def progress_bar(left: TimeLeft | None = None) -> Progress:
    """Return a bar that counts steps and tells the time left, by itself or as ``left`` says."""
    return Progress(
        TextColumn("{task.description:<40}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn() if left is None else _LeftColumn(left),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def show_totals(rows: Sequence[Totals]) -> None:
    """Print the summary: for each setting and number of clients the engines, the fastest first."""
    settings = list(dict.fromkeys(row.setting for row in rows))
    for setting in settings:
        if len(settings) > 1:
            words = describe(setting, varying(settings))
            console.print(f"{', '.join(words) or 'the clients alone'}:", soft_wrap=True)
        _show_table([row for row in rows if row.setting == setting])
        console.print()
    ranked = any(row.rank for row in rows)
    console.print(f"rank: {RANKED if ranked else NOT_RANKED}", soft_wrap=True)


def _show_table(rows: Sequence[Totals]) -> None:
    table = Table(header_style="bold", box=box.SIMPLE_HEAD, collapse_padding=True, show_edge=False)
    for name in ("clients", "engine", "loop"):
        table.add_column(name, justify="right" if name == "clients" else "left", no_wrap=True)
    for name in ("rank", "ops/s", "CPU us\nper op", "p50 us", "p99 us", "p99.9 us", "spread"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("starved", justify="right", no_wrap=True)
    if any(row.background for row in rows):
        for name in ("back-\nground", "its\nops/s"):
            table.add_column(name, justify="right", no_wrap=True)
    for _, group in groupby(rows, key=lambda row: row.clients):
        ordered = sorted(group, key=lambda row: -(row.ops_per_second or 0))
        for row in ordered:
            cells = [*_cells(row), *_background_cells(row)][: len(table.columns)]
            table.add_row(*cells, end_section=row is ordered[-1])
    console.print(table)


def show_note(text: str) -> None:
    """Print one line that is none of the results."""
    console.print(Text(text), soft_wrap=True)


def show_harness(costs: Iterable[HarnessCost]) -> None:
    """Print what the harness takes of each op, where that was measured."""
    for cost in costs:
        clients = counted(cost.combination.clients, "client")
        where = ", ".join(filter(None, (cost.combination.loop, clients, cost.differences)))
        console.print(
            f"harness: {where}: null {cost.null_us:.2f} us per op,"
            f" bare {cost.bare_us:.2f}: {cost.times:.2f} times",
            soft_wrap=True,
        )


def show_notes(records: Sequence[Record]) -> None:
    """Print what makes the figures mean something else than their headings say."""
    for failure in failures_of(records):
        console.print(Text(failure, style="red"), soft_wrap=True)
    for note in notes_of(records):
        show_note(f"note: {note}")


def show_host(host: Record) -> None:
    """Print in two lines what the numbers were measured on."""
    memory = readable_size(host["memory_bytes"])
    console.print(f"{host['cpus']} x {host['cpu']}, {memory}, Linux {host['kernel']}")
    where = f"{host['file_system']} on {host['device']}"
    console.print(f"{host['python']}, {where}", end="\n\n")


def _cells(row: Totals) -> list[str]:
    identity = [str(row.clients), row.engine, row.loop]
    if row.ops_per_second is None:
        return [*identity, "", Text("failed", style="red").plain, *[""] * 6]
    return [
        *identity,
        row.rank,
        _grouped(row.ops_per_second),
        f"{row.cpu_us_per_op:.1f}",
        _microseconds(row.latency_us_p50),
        _microseconds(row.latency_us_p99),
        _microseconds(row.latency_us_p999),
        "" if row.fairness_spread is None else f"{row.fairness_spread:.2f}",
        str(row.starved_clients or ""),
    ]


def _background_cells(row: Totals) -> list[str]:
    if not row.background:
        return ["", ""]
    return [str(row.background), _grouped(row.background_ops_per_second or 0)]


def _grouped(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ")


def _microseconds(value: float | None) -> str:
    """Return three digits: nobody's latency is steadier than that; nothing if it is unknown."""
    if value is None:
        return ""
    return f"{value:.1f}" if value < 100 else _grouped(value)  # noqa: PLR2004 - three digits
