"""What a simulated disk was asked for, in order: to be read, and to be compared."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

__all__ = ["Event", "Trace", "result_text"]

# Names that `replace_file` draws: in a trace they are counted, for they differ from run to run.
_TEMPORARY = re.compile(r"\.asyncuring-[0-9a-f]{16}")


@dataclass(frozen=True)
class Event:
    """One operation that came to its end.

    Attributes:
        number: its place, from 1 on.
        time: when it was done, in seconds since the first one, by the clock of the event loop.
            Not compared: without virtual time no two runs have the same.
        op: "read", "write", "fsync", "open", "rename", …; a chain's steps each have an event.
        path: of the file, or the name; from the disk's folder on, if it lies in there.
        offset, length: of reads, writes, allocations and the like, in bytes.
        result: a count or a descriptor; a negative errno; 0.
        fault: what rule, cancellation or power cut had a hand in it; empty for none.
    """

    number: int
    time: float = field(compare=False)
    op: str
    path: str
    offset: int
    length: int
    result: str
    fault: str = ""

    def __str__(self) -> str:
        """One line."""
        where = f" {self.length} bytes at {self.offset}" if self.offset or self.length else ""
        fault = f"  ({self.fault})" if self.fault else ""
        return (
            f"{self.number:6} {self.time:12.6f} s  {self.op} {self.path}{where}: "
            f"{self.result}{fault}"
        )


class Trace(list[Event]):
    """Events in the order in which they came to their end; as text a line for each."""

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__()
        self._temporary: dict[str, str] = {}

    def path_of(self, path: str) -> str:
        """Return the path as it stands in events: alike in each run."""
        return _TEMPORARY.sub(self._counted, path)

    def _counted(self, match: re.Match[str]) -> str:
        return self._temporary.setdefault(match[0], f".asyncuring-{len(self._temporary) + 1}")

    def __str__(self) -> str:
        """All of it."""
        return "\n".join(map(str, self))


def result_text(op: str, result: int) -> str:
    """Say what came of an op; of descriptors, which differ from run to run, that one came."""
    if result < 0:
        number = -result
        return f"-{number} {os.strerror(number)}"
    return "ok" if op == "open" else str(result)
