"""Ratios of several runs beside those of the baseline: which parts became slower, beyond the noise.

What differs from run to run of the same code is the noise, and it is larger for parts that wake
another thread than for those that are Python alone. So a part counts as slower where every run of
it is above every run of the baseline, and the medians are further apart than `CHANGE_MIN`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

CHANGE_MIN = 0.05
"""Less is never called a change: as much may lie between two hours of a shared machine."""

Ratios: TypeAlias = dict[str, dict[str, list[float]]]
"""By part and loop: the ratio to the null await in each run."""

SAME, SLOWER, FASTER, NEW, GONE = "", "slower", "faster", "new", "not measured"


@dataclass(frozen=True)
class Change:
    """One line of the comparison; None where a side has not measured it."""

    part: str
    loop: str
    now: float | None
    before: float | None
    verdict: str

    @property
    def relative(self) -> float | None:
        """How much slower, of the baseline; negative where it is faster."""
        return None if self.now is None or self.before is None else self.now / self.before - 1


def read_runs(paths: Iterable[Path]) -> Ratios:
    """Read what pytest-benchmark wrote, one file for each run."""
    ratios: Ratios = {}
    for path in paths:
        for measured in json.loads(path.read_text(encoding="utf-8"))["benchmarks"]:
            info = measured["extra_info"]
            ratio = float(f"{info['ratio']:.4g}")
            ratios.setdefault(info["part"], {}).setdefault(info["loop"], []).append(ratio)
    return ratios


def compare(now: Ratios, before: Ratios) -> list[Change]:
    """Return a line for each part and loop of this run, then those that only the baseline has."""
    both = [(part, loop) for ratios in (now, before) for part in ratios for loop in ratios[part]]
    return [
        _change(part, loop, now.get(part, {}).get(loop, []), before.get(part, {}).get(loop, []))
        for part, loop in dict.fromkeys(both)
    ]


def _change(part: str, loop: str, now: Sequence[float], before: Sequence[float]) -> Change:
    if not now:
        return Change(part, loop, None, median(before), GONE)
    if not before:
        return Change(part, loop, median(now), None, NEW)
    change = Change(part, loop, median(now), median(before), SAME)
    verdict = SAME
    if abs(change.relative or 0) > CHANGE_MIN:
        verdict = SLOWER if min(now) > max(before) else verdict
        verdict = FASTER if max(now) < min(before) else verdict
    return Change(part, loop, change.now, change.before, verdict)


def table(changes: Iterable[Change]) -> str:
    """Format the comparison for a terminal."""
    rows = [("part", "loop", "ratio", "baseline", "change", "")]
    rows += [
        (
            change.part,
            change.loop,
            _number(change.now),
            _number(change.before),
            "" if change.relative is None else f"{change.relative:+.0%}",
            change.verdict,
        )
        for change in changes
    ]
    lines = (
        f"{part:<30}{loop:<8}{now:>9}{before:>10}{relative:>8}  {verdict}"
        for part, loop, now, before, relative, verdict in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _number(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:#.3g}"


def read_baseline(path: Path) -> dict[str, Any]:
    """Read what `write_baseline` wrote: facts, and under "ratios" the ratios."""
    baseline: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return baseline


def write_baseline(path: Path, facts: dict[str, str | None], ratios: Ratios) -> None:
    """Write a baseline, a line for each part, so that a diff shows which one moved."""
    head = "".join(f"{json.dumps(key)}: {json.dumps(fact)},\n" for key, fact in facts.items())
    lines = ",\n".join(f"{json.dumps(part)}: {json.dumps(ratios[part])}" for part in ratios)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{{\n{head}"ratios": {{\n{lines}\n}}\n}}\n', encoding="utf-8")
