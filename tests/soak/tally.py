"""What the soak counts, and what went wrong."""

from __future__ import annotations

from collections import Counter

__all__ = ["IN_FLIGHT", "LATE_CHANGES", "TEMPORARY_FILES", "Tally"]

LATE_CHANGES = "buffers changed after their await"
IN_FLIGHT = "left in flight or in the backlog"
TEMPORARY_FILES = "temporary files left"

# Of the messages; all are counted.
_MESSAGES_MAX = 20


class Tally:
    """Counts of one soak.

    Attributes:
        ops: how many ended, by kind, however they ended.
        verified: blocks, records and small files.
        beside: of these, blocks that were written meanwhile, which allows more than one version.
        ends: how those ops ended that were to be interrupted.
        bars: what must be 0, by name.
        messages: the first of what was missed.
    """

    def __init__(self, *bars: str) -> None:
        """Begin with nothing; `bars`: what is looked at besides content."""
        self.ops: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.verified = self.beside = 0
        self.bars = dict.fromkeys(("mismatches", "lost acknowledgements", *bars), 0)
        self.messages: list[str] = []

    def add(self, other: Tally) -> None:
        """Count what another one has counted, of a thread that has ended."""
        self.ops += other.ops
        self.ends += other.ends
        self.verified += other.verified
        self.beside += other.beside
        for bar, count in other.bars.items():
            self.bars[bar] += count
        self.messages += other.messages

    def judged(self, where: str, verdict: str) -> None:
        """Count a verdict of the model: empty, or what is wrong."""
        self.verified += 1
        if verdict:
            bar = "lost acknowledgements" if verdict.startswith("lost") else "mismatches"
            self.missed(bar, f"{where}: {verdict}")

    def missed(self, bar: str, message: str, count: int = 1) -> None:
        """Count what must not happen."""
        self.bars[bar] += count
        if len(self.messages) < _MESSAGES_MAX:
            self.messages.append(f"{bar}: {message}")
