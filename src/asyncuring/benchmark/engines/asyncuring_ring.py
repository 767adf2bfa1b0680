"""This library without reads in the calling thread: the driver makes every copy."""

from __future__ import annotations

from asyncuring.benchmark.engine import Engine
from asyncuring.benchmark.engines.asyncuring import OPS, opener, statistics

engine = Engine(
    name="asyncuring-ring",
    summary='asyncuring, cached_reads="ring"',
    open_async=opener(cached_reads="ring"),
    details=statistics,
    ops=OPS,
    by_default=False,
)
