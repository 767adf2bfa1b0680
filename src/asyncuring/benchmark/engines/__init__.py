"""The contenders, one file each. To add one: copy a neighbour, then name it in the table."""

from __future__ import annotations

from asyncuring.benchmark.engines import (
    aiofile,
    asyncuring,
    asyncuring_classes,
    asyncuring_ring,
    asyncuring_threads,
    asyncuring_uring_local,
    blocking,
    fio,
    null,
    pyaio,
    thread_pool,
    turbofile,
    uring_api,
    urio,
)

ENGINES = {
    module.engine.name: module.engine
    for module in (
        asyncuring,
        asyncuring_ring,
        asyncuring_uring_local,
        asyncuring_classes,
        asyncuring_threads,
        thread_pool,
        blocking,
        null,
        fio,
        turbofile,
        urio,
        pyaio,
        aiofile,
        uring_api,
    )
}
