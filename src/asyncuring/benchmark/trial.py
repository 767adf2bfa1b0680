"""One trial: which engine does which work, on which file. It says nothing of results."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from asyncuring.benchmark.workload import READ, SHARED, UNIFORM


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Everything that a fresh process needs to know in order to measure one engine.

    Exactly one of ``duration_s`` (fixed time) and ``ops_per_client`` (fixed work) is set.
    """

    engine: str
    loop: str
    clients: int
    """All of them together, where there are several loops."""
    background: int = 0
    """So many clients more are there only to be in the way; in fixed time alone."""
    loops: int = 1
    """So many event loops of the kind ``loop``, each in a thread of its own."""
    busy_thread: bool = False
    """Whether a thread that only computes, in Python, runs beside the clients."""
    workload: str = READ
    batch: int = 1
    """Blocks per await; above 1 only with the workload read-many."""
    pipeline: int = 1
    """Ops that each client has in flight: so many lanes, with a buffer each."""
    offsets: str = UNIFORM
    """How random offsets are drawn."""
    read_share: float = 1.0
    """Of the ops, what part reads; between 0 and 1 only with the workload mix."""
    think_s: float = 0.0
    """How long a lane waits before it asks for the next op."""
    files: str = SHARED
    """Whether all clients share one file, or each has its own part of ``file_size``."""
    path: str
    """The file, or the folder where there are several."""
    block_size: int
    """Bytes read or written by one op."""
    file_size: int
    """Bytes in the file, or in all files; a multiple of ``block_size``."""
    direct: bool
    memory_limit: int | None = None
    """Bytes that the process may have, the page cache that it fills included."""
    duration_s: float | None
    ops_per_client: int | None
    verify: bool
    traced: bool = False
    """Whether system calls are counted; what such a trial measures is no time."""
    seed: int
    repeat: int
    """Which repetition of an otherwise equal trial this is, from 0."""

    @property
    def lanes(self) -> int:
        """Ops in flight, those of the background included."""
        return (self.clients + self.background) * self.pipeline

    def to_json(self) -> str:
        """Return one line of JSON that `from_json` reads back."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Trial:
        """Return the trial that `to_json` wrote; a missing or unknown field raises."""
        return Trial(**json.loads(text))
