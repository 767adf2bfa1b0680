"""What a process was told to be durable before it was killed, and whether it is there."""

from __future__ import annotations

import os
import struct
from collections import Counter
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from tests.soak.content import BLOCK, read_records, unsealed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.soak.tally import Tally

__all__ = ["LOGS", "PAGES", "SMALL_FILES", "Acknowledgement", "Durable", "Kind", "log_end"]

# Blocks, and small files, of the process that is killed.
PAGES, SMALL_FILES = 64, 8

_FORMAT = struct.Struct("<BQQ")

_LOG_BYTES_MAX = 4 << 20


class Kind(IntEnum):
    """What was acknowledged."""

    SYNCED = 0
    DURABLE = 1
    CHAIN = 2
    COMMITTED = 3
    APPENDED = 4
    REPLACED = 5


LOGS = {Kind.COMMITTED: "committed", Kind.APPENDED: "appended"}


class Acknowledgement(NamedTuple):
    """What the process tells, as soon as its await has ended.

    place: of a block, a small file, or a record. version: its version; of a record of GroupCommit,
    the offset behind it.
    """

    kind: int
    place: int
    version: int

    def encoded(self) -> bytes:
        """Return it as it goes through a pipe."""
        return bytes(_FORMAT.pack(*self))

    @classmethod
    def decoded(cls, stream: bytes) -> Iterator[Acknowledgement]:
        """Give those that a pipe has brought; all are whole, for a pipe takes so few at once."""
        return (cls(*fields) for fields in _FORMAT.iter_unpack(stream))


class Durable:
    """All that was acknowledged, by however many processes, one after the other.

    Attributes:
        counts: the acknowledgements by kind, and what the kills left.
    """

    def __init__(self, directory: Path) -> None:
        """Make what the processes find there."""
        self._directory = directory
        self.counts: Counter[str] = Counter()
        self._pages = [0] * PAGES
        self._small_files = [0] * SMALL_FILES
        self._records: dict[Kind, dict[int, int]] = {kind: {} for kind in LOGS}
        (directory / "pages").write_bytes(bytes(PAGES * BLOCK))
        for name in LOGS.values():
            (directory / name).touch()

    def acknowledge(self, told: Acknowledgement) -> None:
        """Remember it."""
        kind = Kind(told.kind)
        self.counts[f"acknowledged: {kind.name.lower()}"] += 1
        if kind in LOGS:
            self._records[kind][told.place] = told.version
        else:
            versions = self._small_files if kind is Kind.REPLACED else self._pages
            versions[told.place] = max(versions[told.place], told.version)

    def check(self, tally: Tally) -> None:
        """Verify what the last process left, and clear up as a program would that starts anew."""
        pages = (self._directory / "pages").read_bytes()
        for number, version in enumerate(self._pages):
            content = pages[number * BLOCK : (number + 1) * BLOCK]
            _check_version(f"block {number}", content, number, version, tally)
        for number, version in enumerate(self._small_files):
            path = self._directory / f"small-{number}"
            content = path.read_bytes() if path.exists() else b""
            _check_version(path.name, content, number, version, tally)
        for kind in LOGS:
            self._check_log(kind, tally)
        for path in self._directory.glob(".asyncuring-*"):
            self.counts["temporary files that a kill left"] += 1
            path.unlink()

    def _check_log(self, kind: Kind, tally: Tally) -> None:
        path, told = self._directory / LOGS[kind], self._records[kind]
        content = path.read_bytes()
        ends = {label.place: offset + length for offset, length, label in read_records(content)}
        end = max(ends.values(), default=0)
        for place, told_end in told.items():
            verdict = ""
            if place not in ends:
                verdict = f"lost: record {place} is not among the {len(ends)} up to {end}"
            elif kind is Kind.COMMITTED and ends[place] != told_end:
                verdict = f"wrong: record {place} ends at {ends[place]}, not at {told_end}"
            tally.judged(path.name, verdict)
        self.counts["logs that a kill tore"] += end < len(content)
        os.truncate(path, end)
        if end > _LOG_BYTES_MAX:
            os.truncate(path, 0)
            told.clear()


def log_end(path: Path) -> int:
    """Return where the whole records of a log end, in bytes."""
    return max((at + length for at, length, _ in read_records(path.read_bytes())), default=0)


def _check_version(where: str, content: bytes, place: int, version: int, tally: Tally) -> None:
    label = unsealed(content)
    verdict = ""
    if label is None:
        if any(content):
            verdict = "torn"
        elif version:
            verdict = f"lost: version {version}, nothing is there"
    elif label.place != place:
        verdict = f"wrong: it holds {label}"
    elif label.version < version:
        verdict = f"lost: version {version}, {label.version} is there"
    tally.judged(where, verdict)
