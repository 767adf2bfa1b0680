"""The example of a page store, with the power cut at each of its operations."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import page_store
import pytest

from asyncuring.testing import CrashTestError, crash_test
from tests.crash_programs import check_store, commit, reopen_store
from tests.crash_wrong import WRONG_STORES, StoreWithoutHeed

if TYPE_CHECKING:
    from page_store import PageStore

AT_WORK = range(55, 160)  # the operations before open an empty store


@pytest.fixture(autouse=True)
def few_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores that are opened quickly."""
    monkeypatch.setattr(page_store, "READS", 4)
    monkeypatch.setattr(page_store, "WAYS", 8)


def test_what_was_committed_is_there_wherever_the_power_is_cut() -> None:
    assert crash_test(commit, reopen_store, check_store, seeds=[1], states=2) > 150


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_each_state_that_a_power_cut_may_leave_is_recovered(loop: Any) -> None:
    if loop == "trio":
        pytest.importorskip("trio")
    workload = partial(commit, clients=3)
    count = crash_test(
        workload, reopen_store, check_store, seeds=range(2), points=6, states=9, loop=loop
    )
    assert count > 20


@pytest.mark.parametrize(("failing", "fail_sync"), [("*/pages", 1), ("*/pages", 2), ("*/log-?", 1)])
def test_nothing_is_lost_behind_a_sync_that_failed(failing: str, fail_sync: int) -> None:
    workload = partial(commit, failing=failing, fail_sync=fail_sync)
    assert crash_test(workload, reopen_store, check_store, seeds=[3], points=8, states=4) > 10


@pytest.mark.parametrize("wrong", WRONG_STORES)
def test_a_wrong_store_is_found_out(wrong: type[PageStore]) -> None:
    fail_sync = 2 if wrong is StoreWithoutHeed else None
    workload = partial(commit, store_class=wrong, fail_sync=fail_sync)
    with pytest.raises(CrashTestError, match=r"lost|half a transaction|DamagedPageError"):
        crash_test(workload, reopen_store, check_store, seeds=[1], cut_at=AT_WORK, states=4)
