"""What there is to measure with: engines, workloads and plans, as tables for people."""

from __future__ import annotations

from rich import box
from rich.table import Table

from asyncuring.benchmark import terminal
from asyncuring.benchmark.engines import ENGINES
from asyncuring.benchmark.loops import NO_LOOP
from asyncuring.benchmark.plan import committed_plans
from asyncuring.benchmark.workload import WORKLOADS


def show() -> None:
    """Print the tables."""
    terminal.console.print(_engines(), _workloads(), _plans(), sep="\n")


def _engines() -> Table:
    table = _table("engine", "by default", "loops", "workloads", "what it is")
    for engine in ENGINES.values():
        workloads = [name for name in WORKLOADS if engine.does(name)]
        table.add_row(
            engine.name,
            "yes" if engine.by_default else "",
            ", ".join(engine.loops) or NO_LOOP,
            "all" if len(workloads) == len(WORKLOADS) else ", ".join(workloads),
            engine.summary,
        )
    return table


def _workloads() -> Table:
    table = _table("workload", "what it is")
    for name, workload in WORKLOADS.items():
        table.add_row(name, workload.summary)
    return table


def _plans() -> Table:
    table = _table("plan", "sweeps", "what it is")
    for name, plan in committed_plans().items():
        table.add_row(name, str(len(plan.sweeps)), plan.summary)
    return table


def _table(*names: str) -> Table:
    table = Table(header_style="bold", box=box.SIMPLE_HEAD, show_edge=False)
    for name in names:
        table.add_column(name, no_wrap=name == names[0])
    return table
