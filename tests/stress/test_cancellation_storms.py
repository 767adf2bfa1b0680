"""Thousands of ops, cancelled at random: no buffer changes later, and nothing is left behind."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.running import LOOPS
from tests.stress.leftovers import Belongings, check_nothing_is_left, resident
from tests.stress.storm import Storm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from asyncuring._runtime import DriverName

OPS = 2000
STORMS, STORMS_RECORDED = 2, 6

# From the first storm to the last, besides 5 % of what it was then: malloc keeps what it likes.
GROWTH_MAX = 4 * 1024 * 1024


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "trio"])
@pytest.mark.timeout(180)  # where attacks are recorded it is three times as many ops
def test_nothing_is_lost_in_a_storm(
    loop: str,
    driver: DriverName,
    tmp_path: Path,
    recording: bool,
    note_attack: Callable[..., None],
) -> None:
    returned, cancelled = Counter[str](), Counter[str]()
    before = Belongings.of_now()
    sizes = []
    for seed in range(STORMS_RECORDED if recording else STORMS):
        print(f"seed {seed}")  # noqa: T201  pytest shows it where the test fails
        folder = tmp_path / str(seed)
        folder.mkdir()
        storm = Storm(seed, OPS, driver, folder)
        LOOPS[loop](storm.run)
        returned += storm.returned
        cancelled += storm.cancelled
        del storm
        check_nothing_is_left(before)
        sizes.append(resident())
    growth = sizes[-1] - sizes[0]
    assert growth < GROWTH_MAX + sizes[0] // 20, sizes
    assert set(returned) == set(cancelled), "a kind of op was never cancelled, or always"
    ops = sum(returned.values()) + sum(cancelled.values())
    note_attack(
        "cancellation",
        "ops of ten kinds cancelled at random, buffers checksummed",
        f"{driver}, {loop}",
        f"{ops} ops in {len(sizes)} storms (seeds 0 to {len(sizes) - 1})",
        f"{sum(cancelled.values())} cancelled; 0 bytes changed later, 0 acknowledged missing, "
        f"0 pins, ops, descriptors, threads left; RSS {growth / 1024:+.0f} KiB",
    )
