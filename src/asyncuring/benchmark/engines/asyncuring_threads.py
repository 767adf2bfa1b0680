"""This library on its fallback, the pool of native threads."""

from __future__ import annotations

from asyncuring.benchmark.engine import Engine
from asyncuring.benchmark.engines.asyncuring import OPS, opener, statistics

engine = Engine(
    name="asyncuring-threads",
    summary='asyncuring, driver="threads"',
    open_async=opener(driver="threads"),
    details=statistics,
    ops=OPS,
)
