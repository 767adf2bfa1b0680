"""The page: everything that the records say, in one file that needs no other and no network."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from importlib import resources
from itertools import groupby
from statistics import median
from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from asyncuring.benchmark.noise import CONFIDENCE, REPEATS_MIN, relative_spread
from asyncuring.benchmark.report import words
from asyncuring.benchmark.report.combination import Setting, varying
from asyncuring.benchmark.report.describing import describe
from asyncuring.benchmark.report.harness import harness_costs
from asyncuring.benchmark.report.inlined import inlined, variables
from asyncuring.benchmark.report.notes import failures_of, notes_of
from asyncuring.benchmark.report.tables import SYSTEM_CALLS_FILE
from asyncuring.benchmark.report.totals import CEILINGS, ranked_groups
from asyncuring.benchmark.report.verdicts import CRITERIA, OURS, comparisons_of, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from asyncuring.benchmark.recording import Record
    from asyncuring.benchmark.report.charts import Section
    from asyncuring.benchmark.report.tables import Table
    from asyncuring.benchmark.report.totals import Summary, Totals
    from asyncuring.benchmark.report.verdicts import Comparison

TEMPLATE = "page.html.jinja"

PROGRAM = ("python", "-m")


@dataclass(frozen=True)
class Group:
    """Who is compared with whom: a table of results, the fastest first, and then who failed."""

    clients: int
    rows: list[Totals]

    @property
    def most(self) -> float:
        """The largest throughput."""
        return max((row.ops_per_second or 0 for row in self.rows), default=0)


@dataclass(frozen=True)
class Matrix:
    """All comparisons of one loop by one criterion: a row for each rival."""

    loop: str
    criterion: str
    clients: list[int]
    rows: list[tuple[str, list[Comparison | None]]]


@dataclass(frozen=True)
class Part:
    """Everything about one setting."""

    title: str
    groups: list[Group]
    comparisons: list[Comparison]
    sections: list[Section]

    @property
    def rows(self) -> list[Totals]:
        """The results of all numbers of clients."""
        return [row for group in self.groups for row in group.rows]

    def shown(self, name: str) -> bool:
        """Whether anybody has the figure ``name``, or any but zero where zero is the rule."""
        return any(getattr(row, name) is not None for row in self.rows)

    def counted(self, name: str) -> bool:
        """Whether anybody has more than zero of ``name``."""
        return any(getattr(row, name) for row in self.rows)

    @property
    def matrices(self) -> Iterator[Matrix]:
        """All comparisons, by loop and criterion."""
        key = _loop_and_criterion
        for (loop, at), alike in groupby(sorted(self.comparisons, key=key), key=key):
            yield _matrix(loop, CRITERIA[at].name, list(alike))

    def counts(self) -> list[tuple[str, dict[str, int]]]:
        """Return for each loop how many comparisons have which verdict."""
        loops = sorted({one.loop for one in self.comparisons})
        return [
            (
                loop,
                {
                    verdict: sum(
                        one.loop == loop and one.verdict == verdict for one in self.comparisons
                    )
                    for verdict in ("behind", "ahead", "open")
                },
            )
            for loop in loops
        ]


def render(
    records: Sequence[Record],
    summaries: Sequence[Summary],
    tables: Mapping[str, Table],
    sections: Iterable[Section],
    pictures: Mapping[str, str],
) -> str:
    """Return the page; ``pictures`` has the SVG of each chart by its name."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= words.FILTERS
    source = resources.files("asyncuring.benchmark.report").joinpath(TEMPLATE)
    template = environment.from_string(source.read_text(encoding="utf-8"))
    host = next((record for record in records if record["kind"] == "host"), {})
    settings = list(dict.fromkeys(summary.combination.setting for summary in summaries))
    return template.render(
        parts=_parts(summaries, list(sections), settings),
        alike=describe(settings[0], [n for n in Setting._fields if n not in varying(settings)])
        if settings
        else [],
        noise=_noise(summaries),
        harness=list(harness_costs(summaries)),
        failures=list(failures_of(records)),
        notes=list(notes_of(records)),
        system_calls=list(tables[SYSTEM_CALLS_FILE].dicts()),
        host=host,
        command=shlex.join([*PROGRAM, *host.get("command", ())]),
        files=sorted(tables),
        pictures={name: Markup(inlined(svg, name)) for name, svg in pictures.items()},  # noqa: S704
        light=variables(dark=False),
        dark=variables(dark=True),
        lines_of=lines_of,
        ours=OURS,
        ceilings=CEILINGS,
        repeats_min=REPEATS_MIN,
        confidence=f"{CONFIDENCE:.0%}",
    )


def _parts(
    summaries: Sequence[Summary], sections: Sequence[Section], settings: Sequence[Setting]
) -> list[Part]:
    differences = varying(settings)
    groups = ranked_groups(summaries)
    return [
        Part(
            ", ".join(describe(setting, differences)) or "nobody in the background",
            [_group(clients, group) for (of, clients), group in groups.items() if of == setting],
            comparisons_of(one for one in summaries if one.combination.setting == setting),
            [section for section in sections if section.setting == setting],
        )
        for setting in settings
    ]


def _group(clients: int, summaries: Iterable[Summary]) -> Group:
    rows = [summary.totals for summary in summaries]
    return Group(clients, sorted(rows, key=lambda row: -(row.ops_per_second or 0)))


def _loop_and_criterion(comparison: Comparison) -> tuple[str, int]:
    return comparison.loop, CRITERIA.index(comparison.criterion)


def _matrix(loop: str, criterion: str, alike: Sequence[Comparison]) -> Matrix:
    clients = sorted({one.clients for one in alike})
    found = {(one.rival, one.clients): one for one in alike}
    rivals = sorted({one.rival for one in alike})
    rows = [(rival, [found.get((rival, count)) for count in clients]) for rival in rivals]
    return Matrix(loop, criterion, clients, rows)


def _noise(summaries: Iterable[Summary]) -> dict[str, Any]:
    """Return how far the repeats are from each other."""
    spreads = [
        (spread, summary.combination)
        for summary in summaries
        if (spread := relative_spread(summary.known("ops_per_second"))) is not None
    ]
    worked = [len(summary.repeats) for summary in summaries if summary.repeats]
    return {
        "least": min(worked, default=0),
        "most": max(worked, default=0),
        "median": median(spread for spread, _ in spreads) if spreads else None,
        "worst": max(spreads, key=lambda one: one[0]) if spreads else None,
    }
