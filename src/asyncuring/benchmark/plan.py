"""Plans: sweeps written down in TOML, and those that come with the benchmark.

    summary = "one line for `list`"

    [[sweep]]
    workload = "read"
    clients = [1, 64]
    duration = "2s"

    [[sweep]]
    workload = "write"

The keys of a table are the long names of the options; what stands in none has its default.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from asyncuring.benchmark.options import EXCLUSIVE, OPTIONS
from asyncuring.benchmark.refusal import RefusalError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from typing import Any

    from asyncuring.benchmark.options import Values


class Plan(NamedTuple):
    """What a plan's file says."""

    summary: str
    sweeps: list[Values]


def committed_plans() -> dict[str, Plan]:
    """Return the plans that come with the benchmark, by name."""
    return {
        name: _plan(file.read_text(encoding="utf-8"), name)
        for name, file in sorted(_committed_files().items())
    }


def read_plan(name: str) -> Plan:
    """Return the plan in the file ``name``, or the committed one of that name."""
    committed = _committed_files()
    if name in committed:
        return _plan(committed[name].read_text(encoding="utf-8"), name)
    try:
        text = Path(name).read_text(encoding="utf-8")
    except FileNotFoundError:
        known = ", ".join(sorted(committed))
        raise RefusalError(f"{name} is neither a file nor one of the plans {known}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RefusalError(f"{name} cannot be read: {error}") from error
    return _plan(text, name)


def _committed_files() -> dict[str, Path]:
    return {file.stem: file for file in Path(__file__).with_name("plans").glob("*.toml")}


def _plan(text: str, name: str) -> Plan:
    try:
        written = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RefusalError(f"{name} is no TOML: {error}") from error
    unknown = written.keys() - {"summary", "sweep"}
    if unknown:
        raise RefusalError(
            f"{name}: unknown key {min(unknown)!r}; a plan has a summary and tables [[sweep]]"
        )
    summary, tables = written.get("summary", ""), written.get("sweep")
    if not isinstance(summary, str):
        raise RefusalError(f"{name}: the summary is no text")
    if not isinstance(tables, list) or not tables or not all(type(t) is dict for t in tables):
        raise RefusalError(f"{name} has no table [[sweep]]")
    return Plan(
        summary,
        [_values(table, f"{name}, sweep {number}") for number, table in enumerate(tables, start=1)],
    )


def _values(table: dict[str, Any], where: str) -> Values:
    values: Values = {}
    for key, written in table.items():
        if key not in OPTIONS:
            raise RefusalError(f"{where}: unknown key {key!r}; known are {', '.join(OPTIONS)}")
        option = OPTIONS[key]
        try:
            values[option.dest] = option.value_of(written)
        except argparse.ArgumentTypeError as error:
            raise RefusalError(f"{where}, {key}: {error}") from error
    if all(name in table for name in EXCLUSIVE):
        raise RefusalError(f"{where}: {' and '.join(EXCLUSIVE)} exclude each other")
    return values
