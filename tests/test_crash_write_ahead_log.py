"""The example of a write-ahead log, with the power cut at each of its operations."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from asyncuring.testing import CrashTestError, crash_test
from tests.crash_programs import append, check_log, reopen
from tests.crash_wrong import WRONG_LOGS, LogOneByOne, LogWithoutHeed

if TYPE_CHECKING:
    from write_ahead_log import WriteAheadLog


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_what_was_promised_is_there_wherever_the_power_is_cut(loop: Any) -> None:
    if loop == "trio":
        pytest.importorskip("trio")
    count = crash_test(append, reopen, check_log, seeds=[1], states=12, loop=loop)
    assert count > 60


def test_nothing_is_lost_behind_a_sync_that_failed() -> None:
    for fail_sync in (0, 1):
        workload = partial(append, fail_sync=fail_sync, turns=3)
        assert crash_test(workload, reopen, check_log, seeds=[2], states=4) > 60


def test_what_the_wrong_ones_are_made_of_is_right_without_their_mistake() -> None:
    workload = partial(append, log_class=LogOneByOne)
    assert crash_test(workload, reopen, check_log, seeds=[3], states=6) > 60


@pytest.mark.parametrize("wrong", WRONG_LOGS)
def test_a_wrong_log_is_found_out(wrong: type[WriteAheadLog]) -> None:
    workload = partial(append, log_class=wrong, fail_sync=1 if wrong is LogWithoutHeed else None)
    with pytest.raises(CrashTestError, match="a record is lost"):
        crash_test(workload, reopen, check_log, seeds=[1])
