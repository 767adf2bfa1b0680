"""What makes figures mean something else than their headings say: sentences about the records."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from asyncuring.benchmark.report.words import several

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from asyncuring.benchmark.recording import Record

RESIDENT_ENOUGH = 0.99
"""Below it, the disk shows in the percentiles of a cached trial."""


def notes_of(records: Sequence[Record]) -> Iterator[str]:
    """Return what stands beside the results of the trials that worked."""
    trials = [record for record in records if record["kind"] == "trial" and record["error"] is None]
    cached = [record for record in trials if not record["trial"]["direct"]]
    evicted = sum(_residency(record) < RESIDENT_ENOUGH for record in cached)
    if evicted:
        yield f"in {evicted} of {len(cached)} trials the file was not all in the page cache"
    ran = {
        (record["trial"]["engine"], driver["driver"], driver["reason"])
        for record in trials
        for driver in record["details"].get("drivers", ())
    }
    for engine, driver, reason in sorted(ran):
        yield f"{engine} ran on the driver {driver}: {reason}"


def failures_of(records: Sequence[Record]) -> Iterator[str]:
    """Return each error once: who cannot start fails alike with any number of clients."""
    failed: dict[tuple[str, str, str], set[int]] = defaultdict(set)
    for record in records:
        if record["kind"] != "trial":
            continue
        trial = record["trial"]
        name = f"{trial['engine']}/{trial['loop']}"
        if record["error"] is not None:
            failed[name, "failed", record["error"]].add(trial["clients"])
            continue
        for error in sorted({e for client in record["clients"] for e in client.get("errors", {})}):
            failed[name, "had ops that failed", error].add(trial["clients"])
    for (name, what, error), counts in failed.items():
        clients = f"{several(sorted(counts))} client{'' if counts == {1} else 's'}"
        yield f"{name} {what} with {clients}: {error}"


def _residency(record: Record) -> float:
    """Return the smaller of the two residencies; where nobody can tell, 1."""
    known = (record["resident_before"], record["resident_after"])
    return min((fraction for fraction in known if fraction is not None), default=1.0)
