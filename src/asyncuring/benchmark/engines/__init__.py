"""The contenders, one file each. To add one: copy `skeleton.py`, then name it in the table."""

from __future__ import annotations

from asyncuring.benchmark.engines import (
    aiofile,
    aiofiles,
    anyio,
    asyncfiles,
    asyncuring,
    bare,
    blocking,
    fio,
    inline,
    null,
    pyaio,
    thread_pool,
    turbofile,
    uring_api,
    uringio,
    urio,
)

ENGINES = {
    engine.name: engine
    for module in (
        asyncuring,
        thread_pool,
        blocking,
        inline,
        null,
        bare,
        fio,
        aiofiles,
        anyio,
        aiofile,
        turbofile,
        asyncfiles,
        urio,
        pyaio,
        uring_api,
        uringio,
    )
    for engine in module.engines
}
