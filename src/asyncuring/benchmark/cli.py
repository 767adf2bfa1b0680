"""The command line: what is asked for, refused or turned into trials, a sweep and a report."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from asyncuring.benchmark import quantities, runner
from asyncuring.benchmark.engines import ENGINES
from asyncuring.benchmark.loops import LOOPS
from asyncuring.benchmark.refusal import RefusalError
from asyncuring.benchmark.workload import READ, WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Sequence

DESCRIPTION = """\
Measure random reads or writes through each engine, for each number of clients: throughput, CPU,
latency, and how evenly the clients are served. Without options: a sweep of under a minute."""

EPILOG = "engines: " + "; ".join(
    f"{engine.name} ({engine.summary}{'' if engine.by_default else '; only if named'})"
    for engine in ENGINES.values()
)


class _Parser(argparse.ArgumentParser):
    """Refuses in one line, where argparse would print its usage as well."""

    def error(self, message: str) -> NoReturn:
        raise RefusalError(message)


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; return the exit status.

    0: all trials worked; 1: a trial failed, the report says which; 2: refused; 130: interrupted.
    """
    if list(arguments) == ["run-trial"]:
        # Not in the parser: only the runner calls it.
        # Not `sys.stdout`: with `python -u` that one loses what a pipe does not take at once.
        with open(sys.stdout.fileno(), "w", encoding="utf-8", closefd=False) as target:
            runner.run_from_json(sys.stdin, target)
        return 0
    try:
        return _run(arguments)
    except RefusalError as refusal:
        print(f"asyncuring.benchmark: {refusal}", file=sys.stderr)
        return 2


def _run(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        import rich  # noqa: F401, PLC0415 - optional
    except ImportError:
        raise RefusalError(
            "rich is not installed; install it with: pip install 'asyncuring[benchmark]'"
        ) from None
    # After the check: it needs rich.
    from asyncuring.benchmark import sweep  # noqa: PLC0415

    if options.command == "report":
        return sweep.show_report(options.directory)
    return sweep.run_sweep(sweep.Sweep.from_options(options), ["asyncuring.benchmark", *arguments])


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m asyncuring.benchmark",
        usage="%(prog)s [options]\n       %(prog)s report DIR",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    _add_work(parser)
    _add_surroundings(parser)
    commands = parser.add_subparsers(dest="command", metavar="command")
    report = commands.add_parser("report", help="write the CSV files again, from the records")
    report.add_argument("directory", type=Path, metavar="DIR")
    return parser


def _add_work(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--workload",
        choices=tuple(WORKLOADS),
        default=READ,
        help="; ".join(f"{name}: {workload.summary}" for name, workload in WORKLOADS.items())
        + "; default: read",
    )
    add(
        "--engines",
        type=quantities.names(ENGINES),
        help="comma-separated; default: those below without 'only if named'",
    )
    add(
        "--loop",
        type=quantities.names(LOOPS),
        default=("asyncio",),
        help="asyncio, uvloop, trio, or several, comma-separated; default: asyncio",
    )
    add(
        "--clients",
        type=quantities.counts,
        default=(1, 8, 64, 400),
        help="numbers of clients, comma-separated; default: 1,8,64,400",
    )
    add(
        "--background",
        type=quantities.counts_or_none,
        default=(0,),
        metavar="N",
        help="numbers of clients that flood the engine beside those that are measured,"
        " comma-separated; default: 0",
    )
    add(
        "--loops",
        type=quantities.count,
        default=1,
        metavar="N",
        help="so many loops in threads share the clients; default: 1",
    )
    add(
        "--busy-thread",
        action="store_true",
        help="a thread that only computes, in Python, runs beside the clients; its CPU counts",
    )
    add(
        "--batch",
        type=quantities.count,
        metavar="N",
        help="blocks per await with read-many; default: 32",
    )
    add("--block-size", type=quantities.size, default=8 << 10, help="default: 8KiB")
    add("--file-size", type=quantities.size, default=256 << 20, help="default: 256MiB")
    add("--direct", action="store_true", help="go past the page cache, with O_DIRECT")
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument(
        "--duration", type=quantities.seconds, help="how long each trial works; default: 1.5s"
    )
    amount.add_argument(
        "--ops-per-client",
        type=quantities.count,
        metavar="N",
        help="fixed work instead of fixed time",
    )
    add("--verify", action="store_true", help="check number and checksum of each block read")


def _add_surroundings(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--repeat", type=quantities.count, default=1, metavar="N", help="default: 1")
    add("--seed", type=int, default=0, help="of the offsets and of the order; default: 0")
    add(
        "--out",
        type=Path,
        default=Path("benchmark-results", time.strftime("%Y%m%d-%H%M%S")),
        metavar="DIR",
        help="where records and CSV files go; default: benchmark-results/<time>",
    )
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    add(
        "--dir",
        type=Path,
        default=cache / "asyncuring-benchmark",
        metavar="DIR",
        help="where the file to read is kept: the disk that is measured; default: %(default)s",
    )
