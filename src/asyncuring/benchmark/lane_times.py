"""What timed code leaves of each lane, and what becomes of it: the record of a client."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from operator import sub
from typing import TYPE_CHECKING

from asyncuring.benchmark.recording import histogram_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from asyncuring.benchmark.recording import Record


@dataclass
class LaneTimes:
    """What timed code leaves of one lane."""

    started_ns: int = 0
    completions_ns: array[int] = field(default_factory=lambda: array("q"))
    asked_ns: dict[int, int] = field(default_factory=dict)
    """By number of the completion: when its op was asked for, where that was not at the
    completion before it."""
    errors: Counter[str] = field(default_factory=Counter)

    def ask(self, now_ns: int) -> None:
        """Say that the next op is asked for only now."""
        self.asked_ns[len(self.completions_ns)] = now_ns

    def latencies_ns(self) -> Iterable[int]:
        """Return how long each op took, from asking to completion."""
        befores = array("q", (self.started_ns,))
        befores.extend(self.completions_ns)
        for number, asked_ns in self.asked_ns.items():
            befores[number] = asked_ns
        return map(sub, self.completions_ns, befores)


def client_record(
    opened_ns: int, lanes: Sequence[LaneTimes], block_size: int, blocks_per_op: int = 1
) -> Record:
    """Return what one client measured on all its lanes; its times count from the opening.

    An op is a block; latencies are of what was asked for at once.
    """
    counts: Counter[int] = Counter()
    errors: Counter[str] = Counter()
    for lane in lanes:
        counts.update(lane.latencies_ns())
        errors.update(lane.errors)
    ops = blocks_per_op * sum(len(lane.completions_ns) for lane in lanes)
    finishes_ns = [lane.completions_ns[-1] for lane in lanes if lane.completions_ns]
    return {
        "ops": ops,
        "bytes": ops * block_size,
        "started_ns": min(lane.started_ns for lane in lanes) - opened_ns,
        "finished_ns": max(finishes_ns) - opened_ns if finishes_ns else None,
        "latency_ns_max": max(counts, default=None),
        "latency_histogram": histogram_of(counts),
        "errors": dict(errors),
    }
