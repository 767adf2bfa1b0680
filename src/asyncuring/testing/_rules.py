"""Rules by which a simulated disk misbehaves: which operations, when, and how.

All kinds of misbehaviour are entries of one table, and drawn by the disk's seed. Knows no system
call.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from random import Random

__all__ = ["Rule", "Rules", "Seconds"]

Seconds: TypeAlias = "float | Callable[[Random], float]"

# What can befall an op, and which ops it can befall; none named: all.
EFFECTS: dict[str, tuple[str, ...]] = {
    "delay": (),
    "fail": (),
    "short": ("read", "write"),
    "rot": ("read",),
    "lose": ("write",),
    "misdirect": ("write",),
}


@dataclass
class Rule:
    """One entry.

    Attributes:
        effect: a key of `EFFECTS`.
        ops: names of the ops it is for; empty for all that its effect can befall.
        path: a pattern (fnmatch) for the path as in the trace; None for all.
        after: so many ops that it is for pass first.
        times: so often it takes effect; None for ever.
        probability: with which it takes effect, if it is for the op.
        error: of those that fail, an errno.
        seconds: of those that are delayed; or a function that draws them.
    """

    effect: str
    ops: tuple[str, ...]
    path: str | None
    after: int
    times: int | None
    probability: float
    error: int = 0
    seconds: Seconds = 0.0

    def befalls(self, op: str, path: str, random: Random) -> bool:
        """Decide whether it takes effect now, and count."""
        if self.times == 0 or op not in (self.ops or EFFECTS[self.effect] or (op,)):
            return False
        if self.path is not None and not fnmatchcase(path, self.path):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.probability < 1 and random.random() >= self.probability:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Rules:
    """The table of one disk."""

    def __init__(self) -> None:
        """Begin with none."""
        self._rules: list[Rule] = []

    def add(self, rule: Rule, known: Iterable[str]) -> None:
        """Add a rule.

        Raises:
            ValueError: it can never take effect. known: all names of ops.
        """
        possible = EFFECTS[rule.effect] or tuple(known)
        unknown = [op for op in rule.ops if op not in possible]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is none of {', '.join(map(repr, possible))}")
        if not 0 <= rule.probability <= 1:
            raise ValueError(f"a probability is between 0 and 1, not {rule.probability!r}")
        if rule.after < 0 or (rule.times is not None and rule.times < 0):
            raise ValueError("after and times must not be negative")
        self._rules.append(rule)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._rules)

    def delay(self, op: str, path: str, random: Random) -> float:
        """Return how many seconds an op takes, by all rules together."""
        seconds = 0.0
        for rule in self._rules:
            if rule.effect == "delay" and rule.befalls(op, path, random):
                seconds += rule.seconds(random) if callable(rule.seconds) else rule.seconds
        return max(0.0, seconds)

    def fate(self, op: str, path: str, random: Random) -> Rule | None:
        """Return what befalls an op besides; the first rule that takes effect."""
        for rule in self._rules:
            if rule.effect != "delay" and rule.befalls(op, path, random):
                return rule
        return None
