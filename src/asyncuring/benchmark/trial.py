"""One trial: which engine does which work, on which file. It says nothing of results."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Everything that a fresh process needs to know in order to measure one engine.

    Exactly one of ``duration_s`` (fixed time) and ``ops_per_client`` (fixed work) is set.
    """

    engine: str
    loop: str
    clients: int
    path: str
    block_size: int
    """Bytes read by one op."""
    file_size: int
    """Bytes in the file; a multiple of ``block_size``."""
    direct: bool
    duration_s: float | None
    ops_per_client: int | None
    verify: bool
    seed: int
    repeat: int
    """Which repetition of an otherwise equal trial this is, from 0."""

    def to_json(self) -> str:
        """Return one line of JSON that `from_json` reads back."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Trial:
        """Return the trial that `to_json` wrote; a missing or unknown field raises."""
        return Trial(**json.loads(text))
