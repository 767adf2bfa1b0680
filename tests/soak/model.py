"""What a place in a file may hold: the last acknowledged version, or one that is in doubt.

A place is a block, or a small file that is replaced as a whole. It has one writer, so versions are
in order. A version is in doubt if its write was cancelled, timed out or failed: the await has
ended, nothing touches the file any more, so the place holds one of a few versions, and once a read
has told which, each later read must say the same.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ZEROS", "Glance", "Place"]

# What a read found where there is a hole.
ZEROS = -1


class Glance(NamedTuple):
    """What was known of a place when a read of it began."""

    acknowledged: int
    changes: int
    is_changing: bool


class Place:
    """Which versions one place may hold.

    Attributes:
        latest: the number of the last version that was asked for.
        acknowledged: the last one that is certainly in the file, or under a later one.
        doubtful: later ones that may be there, and are not under way any more.
        under_way: those that are being written.
        holes: those of all these that read as zeros.
        last_hole: the last of the holes that there were.
        changes: grows with each begin and end, so that a read knows whether it was alone.
    """

    __slots__ = (
        "acknowledged",
        "changes",
        "doubtful",
        "holes",
        "last_hole",
        "latest",
        "under_way",
    )

    def __init__(self) -> None:
        """Version 0: nothing was written yet."""
        self.latest = self.acknowledged = self.changes = self.last_hole = 0
        self.doubtful: frozenset[int] = frozenset()
        self.under_way: frozenset[int] = frozenset()
        self.holes: frozenset[int] = frozenset({0})

    def begin(self, *, is_hole: bool = False) -> int:
        """Return the number of a version that is going to be written, or punched."""
        self.latest += 1
        self.changes += 1
        self.under_way |= {self.latest}
        if is_hole:
            self.holes |= {self.latest}
            self.last_hole = self.latest
        return self.latest

    def acknowledge(self, version: int) -> None:
        """Its write has succeeded."""
        self.under_way -= {version}
        self.changes += 1
        self._settle(version)

    def doubt(self, version: int) -> None:
        """Its write has ended without success."""
        self.under_way -= {version}
        self.changes += 1
        if version > self.acknowledged:
            self.doubtful |= {version}

    def withdraw(self, version: int) -> None:
        """Its write was certainly never begun."""
        self.under_way -= {version}
        self.changes += 1

    def _settle(self, version: int) -> None:
        self.acknowledged = max(version, self.acknowledged)
        self.doubtful = frozenset(v for v in self.doubtful if v > self.acknowledged)
        if len(self.holes) > 1 or self.acknowledged not in self.holes:
            self.holes = frozenset(v for v in self.holes if v >= self.acknowledged)

    def glance(self) -> Glance:
        """Look before a read."""
        return Glance(self.acknowledged, self.changes, bool(self.under_way))

    def was_alone(self, glance: Glance) -> bool:
        """Whether nothing was written between `glance` and now."""
        return not glance.is_changing and self.changes == glance.changes

    def judge(self, glance: Glance, version: int | None) -> str:
        """Say what is wrong with what a read found; empty if nothing is.

        version: None: it was torn; or `ZEROS`.
        """
        alone = self.was_alone(glance)
        if version is None:
            return "torn" if alone else ""  # the page cache does not promise more
        if version == ZEROS:
            return self._judge_zeros(glance)
        if version < glance.acknowledged:
            return f"lost: version {version}, after version {glance.acknowledged}"
        if version > self.latest or version in self.holes:
            return f"wrong: version {version}, of {self.latest}"
        if alone:
            if version not in self.doubtful | {self.acknowledged}:
                return f"wrong: version {version}, neither {self.acknowledged} nor in doubt"
            self._found(version)
        return ""

    def _judge_zeros(self, glance: Glance) -> str:
        if not self.was_alone(glance):
            possible = self.last_hole >= glance.acknowledged
        else:
            allowed = self.holes & (self.doubtful | {self.acknowledged})
            possible = bool(allowed)
            self.doubtful &= allowed
            if possible and self.acknowledged not in allowed:
                self._settle(min(allowed))
        return "" if possible else f"lost: zeros, after version {glance.acknowledged}"

    def _found(self, version: int) -> None:
        """Nothing is under way, and a read has told which version it is."""
        self._settle(version)
        self.doubtful = frozenset()
        self.holes &= {self.acknowledged}
