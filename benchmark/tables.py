"""Put the tables made of `results/`, and that of the engines, into the documents.

Usage: python -m benchmark.tables [--check]. With --check nothing is written: the exit status
is 1, and each document named, where a table is not what the results give.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.bar_rows import NO, YES, blank, read_rows
from benchmark.bar_table import bars
from benchmark.engine_table import engines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from benchmark.bar_rows import Row

    Table = list[list[str]]

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmark" / "results"
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "benchmark" / "README.md",
    ROOT / "docs" / "engines.rst",
    ROOT / "docs" / "integrations.rst",
    ROOT / "docs" / "measured.rst",
    ROOT / "docs" / "programs.rst",
)

ENGINES = {
    "asyncuring": "`asyncuring`",
    "asyncuring-threads": "… on native threads",
    "thread-pool": "thread pool",
    "blocking": "blocking threads",
    "null": "`null`",
}


SHOWN = [
    ("cached, asyncio", False, "asyncio", (1, 8, 64, 400)),
    ("cached, uvloop", False, "uvloop", (64, 400)),
    ("cached, trio", False, "trio", (64, 400)),
    ("`O_DIRECT`, asyncio", True, "asyncio", (1, 64)),
]
"""What the reader sees of the plan ``readme``: label, whether direct, loop, numbers of clients."""


def main(arguments: Sequence[str]) -> int:
    """Write the documents, or check them; 2 if the command line is wrong."""
    if arguments not in ([], ["--check"]):
        print("usage: python -m benchmark.tables [--check]", file=sys.stderr)
        return 2
    status = 0
    for document in DOCUMENTS:
        before = document.read_text(encoding="utf-8")
        after = with_tables(before, rst if document.suffix == ".rst" else markdown)
        if after == before:
            continue
        if arguments:
            print(f"{document} is not up to date: python -m benchmark.tables", file=sys.stderr)
            status = 1
        else:
            document.write_text(after, encoding="utf-8")
            print(f"{document} is written")
    return status


def with_tables(document: str, render: Callable[[Table], str]) -> str:
    """Return the document with what its markers ask for between them."""
    for name, make in TABLES.items():
        begin, end = (rf"^(?:<!-- |\.\. ){name}:{edge}(?: -->)?$" for edge in ("begin", "end"))
        document = re.sub(
            rf"({begin})\n.*?({end})",
            lambda match, make=make: f"{match[1]}\n\n{render(make())}\n\n{match[2]}",  # type: ignore[misc]  # a default binds it
            document,
            flags=re.DOTALL | re.MULTILINE,
        )
    return document


def throughput() -> Table:
    """Return thousand ops a second and CPU per op, engines side by side."""
    table = [["", "clients", *ENGINES.values()]]
    for label, direct, loop, counts in SHOWN:
        found = _readme_rows(direct=direct)
        for clients in counts:
            rows = [
                found.get((engine, loop, str(clients))) or found.get((engine, "none", str(clients)))
                for engine in ENGINES
            ]
            table.append([label, str(clients), *map(_throughput_cell, rows)])
    return table


def fairness() -> Table:
    """Return what the best served of 400 clients on asyncio got, over what the worst got."""
    found = _readme_rows(direct=False)
    rows = [found.get((e, "asyncio", "400")) or found[e, "none", "400"] for e in ENGINES]
    spreads = [f"{float(row['fairness_spread']):.2f}" for row in rows]
    return [["", *ENGINES.values()], ["spread", *spreads]]


def _readme_rows(*, direct: bool) -> dict[tuple[str, str, str], dict[str, str]]:
    with (RESULTS / "readme" / "totals.csv").open(encoding="utf-8", newline="") as lines:
        return {
            (row["engine"], row["loop"], row["clients"]): row
            for row in csv.DictReader(lines)
            if row["direct"] == str(direct)
        }


def classes() -> Table:
    """Return what 8 clients get alone, beside 64 others, and beside 64 in a class of IO."""
    table = [["8 clients", "loop", "p50, us", "p99, us", "ops/s", "ops/s of the 64"]]
    with (RESULTS / "classes-direct.csv").open(encoding="utf-8", newline="") as lines:
        found = {(r["engine"], r["loop"], r["background"]): r for r in csv.DictReader(lines)}
    names = ("latency_us_p50", "latency_us_p99", "ops_per_second", "background_ops_per_second")
    for loop in ("asyncio", "trio"):
        for label, engine, background in (
            ("alone", "asyncuring", "0"),
            ("beside 64 in a class", "asyncuring-classes", "64"),
            ("beside 64 in none", "asyncuring", "64"),
        ):
            row = found[engine, loop, background]
            figures = [f"{float(row[name]):.0f}" for name in names]
            if background == "0":
                figures[-1] = ""
            table.append([label, loop, *figures])
    return table


def zarr() -> Table:
    """Return what zarr reads and writes with our store, and with its own."""
    table = [
        [
            *("", "chunks, KiB", "array, MiB", "MiB/s", "`LocalStore`", "ratio", "(least, most)"),
            *("CPU, ms/MiB", "`LocalStore`", "ratio"),
        ]
    ]
    figures = ("chunk_kib", "array_mib", "uring_mib_per_s", "local_mib_per_s", "ratio")
    cpu = ("uring_cpu_ms_per_mib", "local_cpu_ms_per_mib", "cpu_ratio")
    with (RESULTS / "zarr.csv").open(encoding="utf-8", newline="") as lines:
        found = sorted(csv.DictReader(lines), key=lambda r: (r["what"], int(r["chunk_kib"])))
    for row in found:
        spread = f"({row['ratio_min']}, {row['ratio_max']})"
        table.append(
            [row["what"], *(row[name] for name in figures), spread, *(row[name] for name in cpu)]
        )
    return table


def kv() -> Table:
    """Return what redis-benchmark got from the server, its twin, and Redis."""
    head = ["test", "`-P`", "`kv_server.py`", "thread pool", "Redis"]
    table = [[*head, "to thread pool", "to Redis", "others, %"]]
    with (RESULTS / "kv.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    for first, second, third in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
        ratios = [first["ratio_to_thread_pool"], first["ratio_to_redis"], first["others_percent"]]
        cells = [_with_cpu(row) for row in (first, second, third)]
        table.append([first["test"], first["pipeline"], *cells, *ratios])
    return table


def page_store() -> Table:
    """Return what tasks got from the page store and from its twin."""
    table = [["", "tasks", "`page_store.py`", "thread pool", "ratio", "others, %"]]
    with (RESULTS / "page_store.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    for ours, theirs in zip(rows[::2], rows[1::2], strict=True):
        figures = [_with_cpu(ours), _with_cpu(theirs), ours["ratio_to_thread_pool"]]
        table.append([ours["what"], ours["tasks"], *figures, ours["others_percent"]])
    return table


def _with_cpu(row: dict[str, str]) -> str:
    return f"{row['ops_per_second']} ({row['cpu_us_per_op']})"


def _throughput_cell(row: dict[str, str] | None) -> str:
    if row is None or not row["ops_per_second"]:
        return ""
    return f"{float(row['ops_per_second']) / 1000:.1f} ({float(row['cpu_us_per_op']):.1f})"


def bar_lines() -> Table:
    """Return one line for each bar and loop, with all its numbers of clients in it."""
    measured = {row.identity: row for row in read_rows(RESULTS / "bars.csv")}
    rows = [measured.get(blank(bar).identity, blank(bar)) for bar in bars()]
    table = [
        ["bar", "", "loop", "against", "clients", "ratio", "wanted", "met?", "others, %", "CPython"]
    ]
    for _, line in groupby(sorted(rows, key=_line), key=_line):
        table.append(_bar_line(list(line)))
    return table


def _line(row: Row) -> tuple[str, ...]:
    # Of the other packages the hardest to beat stands for all.
    against = "" if row.bar == "d" else row.against
    return (row.bar, row.what, row.measure, against, row.loop)


def _bar_line(rows: Sequence[Row]) -> list[str]:
    hardest = [_hardest(list(same)) for _, same in groupby(rows, key=lambda row: row.clients)]
    first = hardest[0]
    return [
        first.bar,
        f"{first.what}: {first.measure}",
        first.loop,
        _joined(row.against and f"`{row.against}`" for row in hardest).replace(" or ", "` or `"),
        ", ".join(row.clients for row in hardest),
        ", ".join(row.ratio or "-" for row in hardest),
        _joined(row.limit.replace(">=", "≥").replace("<=", "≤") for row in hardest),
        _joined(row.met for row in hardest),
        _joined(row.disturbance_percent for row in hardest),
        _joined(row.python.removeprefix("CPython ") for row in hardest),
    ]


def _hardest(rows: Sequence[Row]) -> Row:
    counted = [row for row in rows if row.met in (YES, NO)]
    return min(counted, key=lambda row: float(row.ratio)) if counted else rows[0]


def _joined(cells: Iterable[str]) -> str:
    """Return the cells, or the one that they all are."""
    listed = list(cells)
    return listed[0] if len(set(listed)) == 1 else ", ".join(listed)


def markdown(table: Table) -> str:
    """Return the table as README.md has it."""
    head, *rows = ["| " + " | ".join(row) + " |" for row in table]
    return "\n".join([head, "|---" * len(table[0]) + "|", *rows])


def rst(table: Table) -> str:
    """Return the table as the manual has it."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([cell.replace("`", "``") for cell in row] for row in table)
    body = "\n".join(f"   {line}" for line in lines.getvalue().splitlines())
    return f".. csv-table::\n   :header-rows: 1\n\n{body}"


TABLES = {
    "results": throughput,
    "fairness": fairness,
    "classes": classes,
    "bars": bar_lines,
    "engines": engines,
    "zarr": zarr,
    "kv": kv,
    "page-store": page_store,
}
"""What the markers of a document name."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
