"""What became slower between two sweeps: a pure function of their records.

Whether a difference is one is decided where engines are ranked, too: in `noise.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from statistics import median
from typing import TYPE_CHECKING

from asyncuring.benchmark.noise import REPEATS_MIN, ratio_of_medians
from asyncuring.benchmark.refusal import RefusalError
from asyncuring.benchmark.report.totals import CEILINGS, summarise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncuring.benchmark.noise import Ratio
    from asyncuring.benchmark.recording import Record
    from asyncuring.benchmark.report.combination import Combination
    from asyncuring.benchmark.report.totals import Summary

JUDGED = "ops_per_second"
"""The figure that decides; the others are shown beside it."""

SHOWN = (JUDGED, "cpu_us_per_op", "latency_us_p50", "latency_us_p99")


class Verdict(Enum):
    """What the repeats say of one combination."""

    SLOWER = "slower"
    TOLERATED = "slower, within tolerance"
    FASTER = "faster"
    WITHIN_NOISE = "within noise"
    TOO_FEW = f"fewer than {REPEATS_MIN} repeats"
    FAILED = "fails now"
    CEILING = "does no IO"


BAD = (Verdict.SLOWER, Verdict.FAILED)


@dataclass(frozen=True)
class Compared:
    """One combination that both sweeps have."""

    combination: Combination
    ratios: dict[str, Ratio | float | None]
    """Of the figures in `SHOWN`: after over before, without limits where the repeats are too few;
    None where one side has no figure."""
    verdict: Verdict


@dataclass(frozen=True)
class Comparison:
    """All combinations that both sweeps have, and how many only one of them has."""

    compared: list[Compared]
    only_before: int
    only_after: int

    @property
    def is_bad(self) -> bool:
        """Whether something is slower, or fails."""
        return any(row.verdict in BAD for row in self.compared)


def compare(before: Sequence[Record], after: Sequence[Record], tolerance: float) -> Comparison:
    """Return what the sweep ``after`` makes of the one ``before``.

    Slower is what has certainly less ops/s, and less than ``1 - tolerance`` of them.
    """
    befores = {summary.combination: summary for summary in summarise(before)}
    afters = {summary.combination: summary for summary in summarise(after)}
    common = [combination for combination in befores if combination in afters]
    if not common:
        raise RefusalError("the two sweeps have no combination in common")
    compared = [
        _compared(befores[combination], afters[combination], tolerance) for combination in common
    ]
    if all(row.verdict in (Verdict.TOO_FEW, Verdict.CEILING) for row in compared):
        raise RefusalError(
            f"nothing was measured {REPEATS_MIN} times on both sides;"
            f" run the sweeps with --repeat {REPEATS_MIN} or more"
        )
    return Comparison(compared, len(befores) - len(common), len(afters) - len(common))


def _compared(before: Summary, after: Summary, tolerance: float) -> Compared:
    ratios = {name: _ratio(before.known(name), after.known(name)) for name in SHOWN}
    return Compared(before.combination, ratios, _verdict(before, after, tolerance))


def _ratio(before: Sequence[float], after: Sequence[float]) -> Ratio | float | None:
    ratio = ratio_of_medians(after, before)
    if ratio is not None or not (before and after and median(before)):
        return ratio
    return median(after) / median(before)


def _verdict(before: Summary, after: Summary, tolerance: float) -> Verdict:
    if before.combination.engine in CEILINGS:
        return Verdict.CEILING
    if before.repeats and after.totals.failed_repeats and not before.totals.failed_repeats:
        return Verdict.FAILED
    ratio = ratio_of_medians(after.known(JUDGED), before.known(JUDGED))
    if ratio is None:
        return Verdict.TOO_FEW
    if not ratio.certain:
        return Verdict.WITHIN_NOISE
    if ratio.value > 1:
        return Verdict.FASTER
    return Verdict.SLOWER if ratio.value < 1 - tolerance else Verdict.TOLERATED
