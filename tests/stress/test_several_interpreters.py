"""Many interpreters come and go in one process: all are refused, the main one does not notice."""

from __future__ import annotations

import platform
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.test_interpreters import KINDS, refusals

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from asyncuring._runtime import DriverName

INTERPRETERS, INTERPRETERS_RECORDED = 5, 100


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_refused(
    kind: str,
    driver: DriverName,
    fifo: Path,
    recording: bool,
    note_attack: Callable[..., None],
) -> None:
    count = INTERPRETERS_RECORDED if recording else INTERPRETERS
    said = Counter(refusals(kind, count, driver, fifo))
    ((message, times),) = said.items()
    assert (times, "does not support loading in subinterpreters" in message) == (count, True)
    note_attack(
        "lifecycle",
        f"import in another interpreter of the process ({kind}), an op of the main one in flight",
        f"{driver}, CPython {platform.python_version()}",
        f"{count} interpreters",
        f"{times} refused with ImportError, 0 crashes; the main one's op completed",
    )
