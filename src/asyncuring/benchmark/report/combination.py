"""What makes two trials repeats of each other, and what makes two engines comparable."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, NamedTuple

from asyncuring.benchmark.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from asyncuring.benchmark.recording import Record


class Setting(NamedTuple):
    """What is asked of all engines alike, but for the number of clients."""

    workload: str
    background: int
    busy_thread: bool
    batch: int
    pipeline: int
    offsets: str
    read_share: float
    think_s: float
    files: str
    block_size: int
    file_size: int
    direct: bool
    memory_limit: int | None
    duration_s: float | None
    ops_per_client: int | None
    verify: bool


class Combination(NamedTuple):
    """Trials that share all of this are repeats of each other."""

    setting: Setting
    clients: int
    engine: str
    loop: str
    loops: int

    @property
    def contender(self) -> str:
        """Engine and loop; with several loops their number."""
        several = f" x{self.loops}" if self.loops > 1 else ""
        return f"{self.engine}/{self.loop}{several}"

    @property
    def values(self) -> dict[str, Any]:
        """All of it by the names that the tables have."""
        own = {name: getattr(self, name) for name in ("engine", "loop", "loops", "clients")}
        return own | self.setting._asdict()


DEFAULTS = {field.name: field.default for field in fields(Trial) if field.default is not MISSING}
"""What a trial was before there was a field for it."""


def combination_of(record: Record) -> Combination:
    """Return what the trial of the record is a repeat of."""
    trial = DEFAULTS | record["trial"]
    return Combination(
        Setting(*(trial[name] for name in Setting._fields)),
        *(trial[name] for name in Combination._fields[1:]),
    )


def by_combination(records: Iterable[Record]) -> dict[Combination, list[Record]]:
    """Return the timed trials: by setting, then clients, engine and loop; in order of repeat."""
    found: dict[Combination, list[Record]] = defaultdict(list)
    for record in records:
        if record["kind"] == "trial" and not record["trial"].get("traced"):
            found[combination_of(record)].append(record)
    return {key: sorted(found[key], key=_repeat) for key in sorted(found, key=_order)}


def varying(settings: Sequence[Setting]) -> tuple[str, ...]:
    """Return the names of what is not the same in all settings."""
    return tuple(
        name
        for name in Setting._fields
        if len({getattr(setting, name) for setting in settings}) > 1
    )


def _repeat(record: Record) -> int:
    repeat: int = record["trial"]["repeat"]
    return repeat


def _order(combination: Combination) -> tuple[object, ...]:
    # None is no number, and nothing that sorts among numbers.
    known = [(value is None, 0 if value is None else value) for value in combination.setting]
    return (known, *combination[1:])
