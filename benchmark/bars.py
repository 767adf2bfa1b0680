"""Measure the bars: ratios between contenders of the same repeat, medians over the repeats.

Usage: python -m benchmark.bars [options] [LETTER...]. Rows that are measured again replace the
old ones in the CSV file; those of other letters stay. `tables.py` puts them into the documents.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from asyncuring.benchmark import dataset, quantities
from asyncuring.benchmark.host import host_record
from asyncuring.benchmark.loops import LOOPS, NO_LOOP
from asyncuring.benchmark.refusal import RefusalError
from benchmark.bar_rows import judge, write_rows
from benchmark.bar_table import Bar, bars
from benchmark.contenders import NotMeasuredError, Surroundings, Work

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmark.bar_rows import Measured, Row
    from benchmark.contenders import Figures, Idle

RESULTS = Path(__file__).with_name("results") / "bars.csv"


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; 0 also where a bar is missed, 2 if it is refused."""
    try:
        options = _parser().parse_args(arguments)
        wanted = _wanted(options)
        surroundings = Surroundings(
            directory=options.dir.absolute(),
            file_size=options.file_size,
            duration_s=options.duration,
        )
        _prepare(wanted, surroundings)
    except RefusalError as refusal:
        print(f"bars: {refusal}", file=sys.stderr)
        return 2
    started = time.monotonic()
    measured = _measure(wanted, surroundings, options.repeat)
    host = host_record(surroundings.directory, ["benchmark.bars", *arguments])
    rows = [
        replace(
            judge(bar, measured),
            python=host["python"],
            file_system=host["file_system"] or "",
            commit=host["commit"] or "",
        )
        for bar in wanted
    ]
    write_rows(options.out, rows)
    _show(rows)
    print(f"{options.out}: {len(rows)} rows, measured in {time.monotonic() - started:.0f} s")
    return 0


def _parser() -> argparse.ArgumentParser:
    letters = sorted({bar.letter for bar in bars()})
    parser = argparse.ArgumentParser(prog="python -m benchmark.bars", description=__doc__)
    add = parser.add_argument
    add("letters", nargs="*", metavar="LETTER", help=f"{letters[0]} to {letters[-1]}; default: all")
    add("--loop", choices=(*LOOPS, NO_LOOP), help="only the bars on this loop")
    add("--repeat", type=quantities.count, default=5, metavar="N", help="default: 5")
    add("--duration", type=quantities.seconds, default=0.6, help="of a trial; default: 600ms")
    add("--file-size", type=quantities.size, default=256 << 20, help="default: 256MiB")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    add(
        "--dir",
        type=Path,
        default=cache / "asyncuring-benchmark",
        metavar="DIR",
        help="where the files to read are kept; default: %(default)s",
    )
    add("--out", type=Path, default=RESULTS, metavar="CSV", help="default: %(default)s")
    return parser


def _wanted(options: argparse.Namespace) -> list[Bar]:
    known = {bar.letter for bar in bars()}
    for letter in options.letters:
        if letter not in known:
            raise RefusalError(f"{letter!r} is not one of {', '.join(sorted(known))}")
    found = [
        bar
        for bar in bars()
        if (not options.letters or bar.letter in options.letters)
        and (options.loop is None or bar.ours.loop == options.loop)
    ]
    if not found:
        raise RefusalError(f"no such bar is on the loop {options.loop}")
    return found


def rounds(wanted: Iterable[Bar]) -> list[list[Work | Idle]]:
    """Return all that have to be measured, each once, those of one comparison together."""
    seen: set[Work | Idle] = set()
    found: dict[Work | Idle, list[Work | Idle]] = {}
    for bar in wanted:
        for who in (bar.ours, *bar.against):
            if who not in seen:
                seen.add(who)
                found.setdefault(bar.ours, []).append(who)
    return list(found.values())


def _prepare(wanted: Sequence[Bar], surroundings: Surroundings) -> None:
    works = [who for group in rounds(wanted) for who in group if isinstance(who, Work)]
    for path, block_size in {work.path(surroundings): work.block_size for work in works}.items():
        if surroundings.file_size % block_size:
            raise RefusalError(f"--file-size is not a multiple of {block_size}")
        try:
            dataset.ensure_file(path, surroundings.file_size, block_size, lambda _: None)
        except OSError as error:
            raise RefusalError(f"{error.filename}: {error.strerror}") from error


def _measure(wanted: Sequence[Bar], surroundings: Surroundings, repeats: int) -> Measured:
    """Let all contenders have their turn in each repeat, in another order each time.

    Those that are compared follow each other: what disturbs the machine for a while then meets
    both or none.
    """
    groups = rounds(wanted)
    measured: Measured = {who: [] for group in groups for who in group}
    for repeat in range(repeats):
        print(f"repeat {repeat + 1} of {repeats}", file=sys.stderr)
        shuffle = random.Random(repeat).sample
        for group in shuffle(groups, len(groups)):
            for who in shuffle(group, len(group)):
                measured[who].append(_turn(who, surroundings, repeat))
    return measured


def _turn(who: Work | Idle, surroundings: Surroundings, repeat: int) -> Figures | str:
    try:
        return who.measure(surroundings, repeat)
    except NotMeasuredError as error:
        return str(error)


def _show(rows: Iterable[Row]) -> None:
    line = "{:4}{:32}{:>9} {:8}{:12}{:25}{:>7}  {:8} {}"
    print(line.format("bar", "", "clients", "loop", "", "against", "ratio", "wanted", "met?"))
    for row in rows:
        range_ = f" ({row.ratio_min} to {row.ratio_max}, others {row.disturbance_percent} %)"
        print(
            line.format(
                row.bar,
                row.what,
                row.clients,
                row.loop,
                row.measure,
                row.against,
                row.ratio,
                row.limit,
                f"{row.met}{range_ if row.ratio else ''}{f': {row.note}' if row.note else ''}",
            )
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
