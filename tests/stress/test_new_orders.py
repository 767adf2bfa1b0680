"""What tests/test_any_order.py does, in orders that nobody has seen before."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

import pytest

from tests.running import LOOPS
from tests.stateful.machine import run_any_order

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName

# Part of the test's name, to be set if it is to be run again.
SEED = int(os.environ.get("ASYNCURING_SEED") or secrets.randbelow(2**32))


@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", [SEED], ids=lambda seed: f"ASYNCURING_SEED={seed}")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "trio"])
def test_new_orders(seed: int, loop: str, driver: DriverName, tmp_path: Path) -> None:
    run_any_order(LOOPS[loop], driver, tmp_path, examples=40, seed=seed)
