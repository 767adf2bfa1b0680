"""Whatever is done with files, in whatever order, comes out as the system and a model have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.running import LOOPS
from tests.stateful.machine import run_any_order

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "trio"])
def test_any_order(loop: str, driver: DriverName, tmp_path: Path) -> None:
    """The same orders each time; tests/stress has new ones."""
    run_any_order(LOOPS[loop], driver, tmp_path, examples=6, seed=4)
