"""This library with a ring for each loop; as in `asyncuring-ring` the driver makes every copy."""

from __future__ import annotations

from asyncuring.benchmark.engine import Engine
from asyncuring.benchmark.engines.asyncuring import OPS, opener, statistics

engine = Engine(
    name="asyncuring-uring-local",
    summary='asyncuring, driver="uring-local", cached_reads="ring"',
    open_async=opener(driver="uring-local", cached_reads="ring"),
    details=statistics,
    ops=OPS,
    by_default=False,
)
