"""The examples on a simulated disk: the power is cut at each operation, and while they recover."""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import page_store
import pytest

from asyncuring.testing import CrashTestError, SimulatedDisk, crash_test
from tests.crash_programs import (
    append,
    check_log,
    check_store,
    commit,
    recovered_twice,
    reopen,
    reopen_store,
)
from tests.crash_wrong import WRONG_LOGS, WRONG_STORES, LogWithoutHeed, StoreWithoutHeed

if TYPE_CHECKING:
    from collections.abc import Callable

PART = "simulated disk"
CUTS_MAX = 400  # until a wrong variant must have been found out

LOG: tuple[Any, Any, Any] = (append, reopen, check_log)
STORE: tuple[Any, Any, Any] = (commit, reopen_store, check_store)
# The example, its three programs; seeds with each operation cut, how many more if it is recorded.
EXAMPLES: dict[str, tuple[Any, Any, Any, int, int]] = {
    "write_ahead_log.py": (*LOG, 4, 30),
    "page_store.py": (*STORE, 1, 2),
    "write_ahead_log.py, a sync fails": (partial(append, turns=3, fail_sync=1), *LOG[1:], 2, 20),
    "page_store.py, a sync fails": (partial(commit, fail_sync=2), *STORE[1:], 1, 1),
}


class Counted:
    """A workload, and how often it ran."""

    def __init__(self, workload: Callable[..., Any]) -> None:
        self.runs = 0
        self._workload = workload

    async def __call__(self, disk: SimulatedDisk, promised: list[Any]) -> None:
        self.runs += 1
        await self._workload(disk, promised)


@pytest.fixture(autouse=True)
def few_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores that are opened quickly."""
    monkeypatch.setattr(page_store, "READS", 4)
    monkeypatch.setattr(page_store, "WAYS", 8)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("loop", ["asyncio", "trio"])
@pytest.mark.parametrize("example", EXAMPLES)
def test_what_was_acknowledged_survives_a_power_cut_at_each_operation(
    example: str, loop: Any, recording: bool, note_attack: Callable[..., None]
) -> None:
    workload, recover, check, seeds, more = EXAMPLES[example]
    counted = Counted(workload)
    seeds += more if recording else 0
    each = 8 if recording else 4
    states = crash_test(counted, recover, check, seeds=range(seeds), states=each, loop=loop)
    tried = f"{counted.runs - seeds} power cuts, at each operation with {seeds} seeds"
    note_attack(PART, f"power cut: {example}", loop, tried, f"{states} states, 0 violations")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("loop", ["asyncio", "trio"])
@pytest.mark.parametrize("example", ["write_ahead_log.py", "page_store.py"])
def test_what_was_acknowledged_survives_a_power_cut_of_the_recovery(
    example: str, loop: Any, recording: bool, note_attack: Callable[..., None]
) -> None:
    workload, recover, check, *_ = EXAMPLES[example]
    counted = Counted(workload)
    cuts = range(1, 60, 2 if recording else 6)
    states = sum(
        crash_test(
            counted,
            recovered_twice(recover, cut_at),
            check,
            seeds=[cut_at],
            points=8,
            states=4,
            loop=loop,
        )
        for cut_at in cuts
    )
    tried = f"{counted.runs - len(cuts)} power cuts at drawn operations, each with another one"
    attack = f"power cut, and again while it recovers: {example}"
    note_attack(PART, attack, loop, tried, f"{states} states, 0 violations")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("wrong", [*WRONG_LOGS, *WRONG_STORES])
def test_a_wrong_variant_is_found_out_by_cuts_at_drawn_operations(
    wrong: Any, note_attack: Callable[..., None]
) -> None:
    cuts = _cuts_until_found_out(wrong)
    attack = f"power cut: {wrong.__doc__.splitlines()[0].rstrip('.')} ({wrong.__name__})"
    note_attack(PART, attack, "asyncio", f"{cuts} power cuts at drawn operations", "found out")


def _cuts_until_found_out(wrong: Any) -> int:
    fails = wrong in {LogWithoutHeed, StoreWithoutHeed}
    if wrong in WRONG_LOGS:
        _, recover, check = LOG
        workload: Any = partial(append, log_class=wrong, fail_sync=1 if fails else None)
    else:
        _, recover, check = STORE
        workload = partial(commit, store_class=wrong, fail_sync=2 if fails else None)
    for seed in count():
        assert seed < CUTS_MAX, "not found out"
        try:
            crash_test(workload, recover, check, seeds=[seed], points=1, states=8)
        except CrashTestError:
            break
    return seed + 1
