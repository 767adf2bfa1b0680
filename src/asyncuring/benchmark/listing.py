"""What there is to measure with: engines, workloads and plans, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from asyncuring.benchmark import terminal
from asyncuring.benchmark.engines import ENGINES
from asyncuring.benchmark.plan import committed_plans
from asyncuring.benchmark.workload import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncuring.benchmark.engine import Engine


def show() -> None:
    """Print the lists."""
    terminal.console.print("engines (those with a star take part unless --engines names others):")
    terminal.console.print(_grid((_name(engine), _facts(engine)) for engine in ENGINES.values()))
    terminal.console.print("workloads:")
    terminal.console.print(
        _grid((name, [workload.summary]) for name, workload in WORKLOADS.items())
    )
    terminal.console.print("plans:")
    terminal.console.print(
        _grid((name, [plan.summary]) for name, plan in committed_plans().items())
    )


def _name(engine: Engine) -> str:
    return f"{engine.name} *" if engine.by_default else engine.name


def _facts(engine: Engine) -> list[str]:
    loops = f"on {', '.join(engine.loops)}" if engine.loops else "without a loop"
    direct = "" if engine.direct else "; not with --direct"
    lines = [engine.summary, f"{loops}; {_workloads(engine)}{direct}"]
    if engine.notes:
        lines.append(engine.notes)
    missing = engine.missing()
    return [*lines, f"MISSING: {missing}"] if missing else lines


def _workloads(engine: Engine) -> str:
    """Return which it does, or which it does not: whichever is shorter."""
    does = [name for name in WORKLOADS if engine.does(name)]
    lacks = [name for name in WORKLOADS if name not in does]
    if not lacks:
        return "all workloads"
    if len(lacks) < len(does):
        return f"all workloads but {', '.join(lacks)}"
    return ", ".join(does)


def _grid(entries: Iterable[tuple[str, list[str]]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column()
    for name, lines in entries:
        grid.add_row(f"  {name}", Text("\n".join(lines)))
    grid.add_row("", "")
    return grid
