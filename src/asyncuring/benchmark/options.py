"""What can be asked of a sweep: one table for the command line and for plans.

A plan's keys are the long names, its values are what one would type, or TOML's own numbers, truth
values and lists of them.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncuring.benchmark import quantities
from asyncuring.benchmark.engines import ENGINES
from asyncuring.benchmark.loops import LOOPS
from asyncuring.benchmark.refusal import RefusalError
from asyncuring.benchmark.workload import FILES, OFFSETS, SHARED, UNIFORM, WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Values = dict[str, Any]
    """Values of options by their names with underscores, as `argparse` has them."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option of a sweep. Without ``parse`` it is a switch."""

    name: str
    help: str
    parse: Callable[[str], Any] | None = None
    default: str | None = None
    """As it would be typed; None where it depends on other options, or is off."""
    metavar: str | None = None

    @property
    def dest(self) -> str:
        """Its name in `Values`."""
        return self.name.replace("-", "_")

    @property
    def text(self) -> str:
        """What it means, with its default."""
        return self.help + (f"; default: {self.default}" if self.default else "")

    def value_of(self, written: object) -> object:
        """Return the value that a plan gives; what is wrong with it is an `ArgumentTypeError`."""
        if self.parse is None:
            if not isinstance(written, bool):
                raise argparse.ArgumentTypeError(f"{written!r} is neither true nor false")
            return written
        parts = written if isinstance(written, list) else [written]
        for part in parts:
            if isinstance(part, bool) or not isinstance(part, (str, int, float)):
                raise argparse.ArgumentTypeError(f"{part!r} is neither a number nor a text")
        return self.parse(",".join(map(str, parts)))


GROUPS: dict[str, tuple[Option, ...]] = {
    "who takes part": (
        Option(
            name="engines",
            parse=quantities.names(ENGINES),
            metavar="NAME,...",
            help="default: all that `list` marks for this workload",
        ),
        Option(
            name="loop",
            parse=quantities.names(LOOPS),
            default="asyncio",
            metavar="NAME,...",
            help=f"of {', '.join(LOOPS)}",
        ),
        Option(
            name="loops",
            parse=quantities.count,
            default="1",
            metavar="N",
            help="so many loops in threads share the clients",
        ),
        Option(
            name="busy-thread",
            help="a thread that only computes, in Python, runs beside the clients; its CPU counts",
        ),
    ),
    "clients": (
        Option(
            name="clients",
            parse=quantities.counts,
            default="1,8,64,400",
            metavar="N,...",
            help="numbers of clients",
        ),
        Option(
            name="background",
            parse=quantities.counts_or_none,
            default="0",
            metavar="N,...",
            help="numbers of clients that flood the engine beside those that are measured",
        ),
        Option(
            name="pipeline",
            parse=quantities.count,
            default="1",
            metavar="N",
            help="ops that each client has in flight",
        ),
        Option(
            name="think",
            parse=quantities.seconds,
            metavar="TIME",
            help="how long a client waits before it asks for the next op; default: not at all",
        ),
    ),
    "work": (
        Option(
            name="workload",
            parse=quantities.one_of(WORKLOADS),
            default="read",
            metavar="NAME",
            help=f"one of {', '.join(WORKLOADS)}; `list` describes them",
        ),
        Option(
            name="batch",
            parse=quantities.count,
            metavar="N",
            help="blocks per await with read-many; default: 32",
        ),
        Option(
            name="offsets",
            parse=quantities.one_of(OFFSETS),
            default=UNIFORM,
            metavar="NAME",
            help="how random offsets are drawn, uniform or zipf, where a few are drawn often",
        ),
        Option(
            name="read-share",
            parse=quantities.share,
            metavar="SHARE",
            help="of the ops of the workload mix; default: 70%",
        ),
        Option(
            name="block-size",
            parse=quantities.size,
            default="8KiB",
            metavar="SIZE",
            help="of an op",
        ),
        Option(
            name="verify",
            help="check number and checksum of each block, also of those written",
        ),
    ),
    "files": (
        Option(
            name="files",
            parse=quantities.one_of(FILES),
            default=SHARED,
            metavar="NAME",
            help="shared by all clients, or per-client: each has its part of --file-size",
        ),
        Option(
            name="file-size",
            parse=quantities.size,
            default="256MiB",
            metavar="SIZE",
            help="of all files together",
        ),
        Option(name="direct", help="go past the page cache, with O_DIRECT"),
        Option(
            name="memory-limit",
            parse=quantities.size,
            metavar="SIZE",
            help="what a trial may have of memory, the page cache it fills included, in a cgroup"
            " of its own; default: no limit",
        ),
    ),
    "what else": (
        Option(
            name="system-calls",
            help="afterwards count the system calls of each kind of trial, with strace, in a trial"
            " of its own of which nothing is timed",
        ),
    ),
    "how long": (
        Option(
            name="duration",
            parse=quantities.seconds,
            metavar="TIME",
            help="how long each trial works; default: 1.5s",
        ),
        Option(
            name="ops-per-client",
            parse=quantities.count,
            metavar="N",
            help="fixed work instead of fixed time",
        ),
        Option(
            name="repeat",
            parse=quantities.count,
            default="1",
            metavar="N",
            help="of each trial; from 3 on, engines are ranked",
        ),
        Option(
            name="seed",
            parse=quantities.whole,
            default="0",
            metavar="N",
            help="of the offsets and of the order of the trials",
        ),
    ),
}

OPTIONS = {option.name: option for group in GROUPS.values() for option in group}

EXCLUSIVE = ("duration", "ops-per-client")
"""How much work a trial is: one of them says it."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add all options, in their groups; what is not given is not in the namespace."""
    for title, options in GROUPS.items():
        group = parser.add_argument_group(title)
        amount = group.add_mutually_exclusive_group()
        for option in options:
            place = amount if option.name in EXCLUSIVE else group
            flag, text = f"--{option.name}", option.text.replace("%", "%%")
            if option.parse is None:
                place.add_argument(flag, action="store_true", help=text, default=argparse.SUPPRESS)
            else:
                place.add_argument(
                    flag,
                    type=option.parse,
                    metavar=option.metavar,
                    help=text,
                    default=argparse.SUPPRESS,
                )


def given_in(namespace: argparse.Namespace) -> Values:
    """Return the options of a sweep that the command line has."""
    known = {option.dest for option in OPTIONS.values()}
    return {name: value for name, value in vars(namespace).items() if name in known}


def overridden(values: Mapping[str, Any], by: Mapping[str, Any]) -> Values:
    """Return a plan's values where the command line has the last word."""
    amounts = {OPTIONS[name].dest for name in EXCLUSIVE}
    dropped = amounts if amounts & by.keys() else set()
    return {name: value for name, value in values.items() if name not in dropped} | dict(by)


def completed(values: Mapping[str, Any]) -> Values:
    """Return the values of all options: those given, and the others' defaults."""
    amounts = [name for name in EXCLUSIVE if OPTIONS[name].dest in values]
    if len(amounts) > 1:
        raise RefusalError(f"{' and '.join(amounts)} exclude each other")
    defaults: Values = {}
    for option in OPTIONS.values():
        if option.parse is None:
            defaults[option.dest] = False
        else:
            defaults[option.dest] = option.default and option.parse(option.default)
    return defaults | dict(values)
