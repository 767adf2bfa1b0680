"""The time left: what was planned, corrected by what was seen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from asyncuring.benchmark.time_left import OVERHEAD_S, TimeLeft

if TYPE_CHECKING:
    from asyncuring.benchmark.trial import Trial


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_durations_are_corrected_by_what_trials_take_beyond_them(
    trial: Trial, clock: Clock
) -> None:
    timed = replace(trial, duration_s=2.0, ops_per_client=None)
    trials = [replace(timed, clients=clients) for clients in (1, 2, 4)]
    left = TimeLeft(trials, clock)
    assert left.seconds() == pytest.approx(3 * (2 + OVERHEAD_S))
    with left.of(trials[0]):
        clock.now += 1
        assert left.seconds() == pytest.approx(3 * (2 + OVERHEAD_S) - 1)
        clock.now += 4
    assert left.seconds() == pytest.approx(2 * (2 + 3))
    assert str(left) == "about 10 s left"


def test_repeats_take_what_their_kind_took(trial: Trial, clock: Clock) -> None:
    slow = [replace(trial, engine="thread-pool", repeat=repeat) for repeat in (0, 1)]
    fast = [replace(trial, engine="null", repeat=repeat) for repeat in (0, 1, 2)]
    left = TimeLeft([*slow, *fast], clock)
    assert left.seconds() is None
    assert str(left) == "time left unknown"
    with left.of(slow[0]):
        assert left.seconds() is None
        clock.now += 600
    assert left.seconds() == pytest.approx(600 + 3 * 600)
    with left.of(fast[0]):
        clock.now += 1
    assert left.seconds() == pytest.approx(600 + 2 * 1)
    assert str(left) == "about 10 min left"


def test_a_trial_that_takes_longer_than_expected_is_about_to_end(
    trial: Trial, clock: Clock
) -> None:
    left = TimeLeft([replace(trial, duration_s=1.0, ops_per_client=None)], clock)
    with left.of(replace(trial, duration_s=1.0, ops_per_client=None)):
        clock.now += 100
        assert left.seconds() == 0
    assert str(left) == "about 0 s left"


def test_many_hours_are_said_in_hours(trial: Trial, clock: Clock) -> None:
    long = replace(trial, duration_s=2 * 3600 - OVERHEAD_S, ops_per_client=None)
    assert str(TimeLeft([long], clock)) == "about 2.0 h left"
