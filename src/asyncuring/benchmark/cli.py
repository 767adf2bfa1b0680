"""The command line: what is asked for, refused or done."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from asyncuring.benchmark import options, quantities, runner
from asyncuring.benchmark.refusal import RefusalError
from asyncuring.benchmark.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROGRAM = "python -m asyncuring.benchmark"

DESCRIPTION = """\
Measure file IO through each engine, for each number of clients: throughput, CPU, latency, and how
evenly the clients are served. Without options: a sweep of under a minute.

commands, each with a --help of its own:
  list              the engines and what they do, the workloads and the plans
  fill              prepare the files that the trials read, and measure nothing
  report DIR        write the report in DIR again, from its records
  compare A B       the ratios between two sweeps; the exit status says whether B is slower

examples:
  %(prog)s --dir /mnt/disk --direct --clients 1,64 --repeat 5
  %(prog)s --plan quick --dir /mnt/disk
  %(prog)s --resume benchmark-results/20260101-120000
  %(prog)s compare benchmark-results/before benchmark-results/after --tolerance 10%%
"""

EPILOG = """\
Sizes are 512, 8KiB, 256MiB or 4GiB, times are 500ms or 3s.
Exit status: 0 all trials worked; 1 one failed, the report says which; 2 refused, in one line;
130 interrupted.
"""

RESUME = """\
go on with the interrupted sweep whose report is in DIR, as it was asked for; nothing else may be
given"""


COMPARE = """\
Show, for each combination that both sweeps measured, DIR_B divided by DIR_A: the ratio of the
medians of their repeats, and between which limits chance may have moved it. With fewer than three
repeats nothing is called slower."""

COMPARE_EPILOG = """\
Exit status: 0 nothing is slower; 1 something is, beyond noise and beyond the tolerance; 2 refused.
"""

TOLERANCE = "5%"


class _Parser(argparse.ArgumentParser):
    """Refuses in one line, where argparse would print its usage as well."""

    def __init__(self, command: str = "", **texts: str) -> None:
        super().__init__(
            prog=f"{PROGRAM} {command}".rstrip(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            # What was meant must not change with the next option.
            allow_abbrev=False,
            **texts,  # type: ignore[arg-type]  # usage, description and epilog
        )

    def error(self, message: str) -> NoReturn:
        raise RefusalError(message)


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; return the exit status.

    0: all is well; 1: a trial failed, or something is slower; 2: refused; 130: interrupted.
    """
    if list(arguments) == ["run-trial"]:
        # Only the runner calls it.
        # Not `sys.stdout`: with `python -u` that one loses what a pipe does not take at once.
        with open(sys.stdout.fileno(), "w", encoding="utf-8", closefd=False) as target:
            runner.run_from_json(sys.stdin, target)
        return 0
    try:
        # Ahead of the modules that need them, which are imported where they are used.
        _refuse_missing_packages()
        if arguments and arguments[0] in COMMANDS:
            return COMMANDS[arguments[0]](arguments[1:])
        return _run(arguments)
    except RefusalError as refusal:
        print(f"asyncuring.benchmark: {refusal}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        # A sweep says itself how to go on.
        return 130


def _run(arguments: Sequence[str]) -> int:
    if any(argument.partition("=")[0] == "--resume" for argument in arguments):
        return _resume(arguments)
    parser = _Parser(
        usage="%(prog)s [options]\n       %(prog)s COMMAND ...",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    _add_sweep(parser)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("benchmark-results", time.strftime("%Y%m%d-%H%M%S")),
        metavar="DIR",
        help="where the report goes; default: benchmark-results/<time>",
    )
    parser.add_argument("--resume", metavar="DIR", help=RESUME)
    namespace = parser.parse_args(arguments)
    from asyncuring.benchmark import sweeping  # noqa: PLC0415 - see main

    return sweeping.run(_sweeps(namespace), namespace.out, ["asyncuring.benchmark", *arguments])


def _resume(arguments: Sequence[str]) -> int:
    parser = _Parser()
    parser.add_argument("--resume", type=Path, metavar="DIR", required=True)
    namespace, others = parser.parse_known_args(arguments)
    if others:
        raise RefusalError(
            f"--resume goes on as it was asked for, and takes nothing else: {' '.join(others)}"
        )
    from asyncuring.benchmark import sweeping  # noqa: PLC0415 - see main

    return sweeping.resume(namespace.resume, ["asyncuring.benchmark", *arguments])


def _fill(arguments: Sequence[str]) -> int:
    parser = _Parser(
        "fill",
        description="Make the files that the trials of a sweep need, or check those that are"
        " there.\nTakes what a sweep takes, and measures nothing.",
    )
    _add_sweep(parser)
    from asyncuring.benchmark import sweeping  # noqa: PLC0415 - see main

    return sweeping.fill(_sweeps(parser.parse_args(arguments)))


def _report(arguments: Sequence[str]) -> int:
    parser = _Parser("report", description="Write the report of a sweep again, from its records.")
    parser.add_argument("directory", type=Path, metavar="DIR", help="where the records are")
    from asyncuring.benchmark import sweeping  # noqa: PLC0415 - see main

    return sweeping.show_report(parser.parse_args(arguments).directory)


def _compare(arguments: Sequence[str]) -> int:
    parser = _Parser("compare", description=COMPARE, epilog=COMPARE_EPILOG)
    add = parser.add_argument
    add("before", type=Path, metavar="DIR_A", help="the report to compare with")
    add("after", type=Path, metavar="DIR_B", help="the report that is to be no slower")
    add(
        "--tolerance",
        type=quantities.share,
        default=TOLERANCE,
        metavar="SHARE",
        help=f"what loss of ops/s is no failure; default: {TOLERANCE}%",
    )
    namespace = parser.parse_args(arguments)
    from asyncuring.benchmark import comparing  # noqa: PLC0415 - see main

    return comparing.show(namespace.before, namespace.after, namespace.tolerance)


def _list(arguments: Sequence[str]) -> int:
    _Parser("list", description="Show the engines, the workloads and the plans.").parse_args(
        arguments
    )
    from asyncuring.benchmark import listing  # noqa: PLC0415 - see main

    listing.show()
    return 0


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "list": _list,
    "fill": _fill,
    "report": _report,
    "compare": _compare,
}


def _add_sweep(parser: argparse.ArgumentParser) -> None:
    """Add what says which trials there are, and where their files."""
    parser.add_argument(
        "--plan",
        metavar="PLAN",
        help="a TOML file, or the name of a plan that `list` shows; options given beside it hold"
        " for each of its sweeps",
    )
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument(
        "--dir",
        type=Path,
        default=cache / "asyncuring-benchmark",
        metavar="DIR",
        help="where the files of the trials are kept: the disk that is measured;"
        " default: %(default)s",
    )
    options.add_options(parser)


def _sweeps(namespace: argparse.Namespace) -> list[Sweep]:
    """Return the sweeps of the plan, or the one of the command line."""
    from asyncuring.benchmark.plan import read_plan  # noqa: PLC0415 - see main

    given = options.given_in(namespace)
    tables = [{}] if namespace.plan is None else read_plan(namespace.plan).sweeps
    return [
        Sweep.from_options(options.completed(options.overridden(table, given)), namespace.dir)
        for table in tables
    ]


def _refuse_missing_packages() -> None:
    """Refuse without what tables, plots and plans need; who imports these is imported late."""
    needed = ["rich", "matplotlib", "jinja2"]
    for name in needed if sys.version_info >= (3, 11) else [*needed, "tomli"]:
        if importlib.util.find_spec(name) is None:
            raise RefusalError(
                f"{name} is not installed; install it with: pip install 'asyncuring[benchmark]'"
            )
