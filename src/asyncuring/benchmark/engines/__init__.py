"""The contenders, one file each. To add one: copy a neighbour, then name it in the table."""

from __future__ import annotations

from asyncuring.benchmark.engines import (
    asyncuring,
    asyncuring_threads,
    blocking,
    null,
    thread_pool,
)

ENGINES = {
    module.engine.name: module.engine
    for module in (
        asyncuring,
        asyncuring_threads,
        thread_pool,
        blocking,
        null,
    )
}
