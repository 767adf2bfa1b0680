"""This library with its clients in the background in a class of IO, of a tenth of the shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import Engine
from asyncuring.benchmark.engines.asyncuring import OPS, opener, statistics

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


def _background() -> AbstractContextManager[object]:
    # Imported late, as the library is.
    import asyncuring  # noqa: PLC0415

    return asyncuring.IoClass("background", shares=10)


engine = Engine(
    name="asyncuring-classes",
    summary="asyncuring, with --background in a class of a tenth of the shares",
    open_async=opener(),
    background=_background,
    details=statistics,
    ops=OPS,
    by_default=False,
)
