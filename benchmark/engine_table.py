"""What each engine of the benchmark is and can do, as a table for the documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncuring.benchmark.engines import ENGINES
from asyncuring.benchmark.requirement import Package
from asyncuring.benchmark.workload import WORKLOADS

if TYPE_CHECKING:
    from asyncuring.benchmark.engine import Engine

ALL = "all"


def engines() -> list[list[str]]:
    """Return a header, then one row for each engine."""
    header = ["engine", "what it is", "loops", "workloads", "`--direct`", "needs", "to know"]
    return [header, *map(_row, ENGINES.values())]


def _row(engine: Engine) -> list[str]:
    return [
        f"`{engine.name}`" + (" (by default)" if engine.by_default else ""),
        engine.summary,
        ", ".join(engine.loops) or "none",
        _workloads(engine),
        "yes" if engine.direct else "no",
        _needs(engine),
        engine.notes,
    ]


def _workloads(engine: Engine) -> str:
    missing = [name for name in WORKLOADS if not engine.does(name)]
    if not missing:
        return ALL
    if len(missing) < len(WORKLOADS) / 2:
        return f"{ALL} but {', '.join(missing)}"
    return ", ".join(name for name in WORKLOADS if engine.does(name))


def _needs(engine: Engine) -> str:
    if engine.requires is None:
        return ""
    if isinstance(engine.requires, Package):
        return f"`{engine.requires.marked}`"
    return f"`{engine.requires.install}`"
