"""How the way of ops is chosen, with durations that are made up."""

from __future__ import annotations

from itertools import islice

from asyncuring._routes import BESIDE, OWN, TIMED, Route


class Traffic:
    """One client, whose ops take the `seconds` that it was told for each way."""

    def __init__(self, own: float, beside: float) -> None:
        self.seconds = [own, beside]
        self.done = 0
        self.route = Route("write", 1, lambda: (self.done, 0))

    def flow(self, ops: int) -> list[int]:
        """The ways that so many ops took."""
        taken = []
        for way in islice(self.route.ways, ops):
            taken.append(way % TIMED)
            if way >= TIMED:
                self.route.time(way, self.seconds[way - TIMED])
            self.done += 1
        return taken

    def flow_until_compared(self) -> int:
        """How many ops it took until the two ways were compared once more."""
        before, ops = self.route.comparisons, 0
        while self.route.comparisons == before:
            self.flow(1)
            ops += 1
            assert ops < 10_000_000
        return ops


def test_both_ways_are_tried_and_the_faster_one_is_taken() -> None:
    traffic = Traffic(own=5.0, beside=1.0)
    assert set(traffic.flow(300)) == {OWN, BESIDE}
    assert traffic.route.comparisons == 1
    assert traffic.route.way == BESIDE
    assert traffic.route.seconds == (5.0, 1.0)
    assert set(traffic.flow(5000)) == {BESIDE}


def test_the_drivers_own_way_is_left_only_for_a_gain() -> None:
    for beside in (0.95, 1.0, 5.0):
        traffic = Traffic(own=1.0, beside=beside)
        traffic.flow_until_compared()
        assert traffic.route.way == OWN


def test_the_choice_follows_when_the_other_way_becomes_the_faster_one() -> None:
    traffic = Traffic(own=5.0, beside=1.0)
    traffic.flow_until_compared()
    traffic.seconds = [0.95, 1.0]
    traffic.flow_until_compared()
    assert traffic.route.way == BESIDE
    traffic.seconds = [0.5, 1.0]
    traffic.flow_until_compared()
    assert traffic.route.way == OWN


def test_comparisons_become_rare_but_never_end_and_a_surprise_makes_them_frequent_again() -> None:
    traffic = Traffic(own=1.0, beside=5.0)
    first = traffic.flow_until_compared()
    rests = [traffic.flow_until_compared() for _ in range(8)]
    assert rests[0] > 20 * first
    assert rests[1] > 1.5 * rests[0]
    assert rests[-1] == rests[-2] < 2000 * first
    traffic.seconds = [5.0, 1.0]
    traffic.flow_until_compared()
    assert traffic.route.way == BESIDE
    assert traffic.flow_until_compared() < 1.5 * rests[0]


def test_a_comparison_costs_some_percent_at_most() -> None:
    traffic = Traffic(own=1.0, beside=5.0)
    taken = traffic.flow(100_000)
    assert 0 < taken.count(BESIDE) < 2000


def test_of_ops_that_do_not_tell_nothing_is_concluded() -> None:
    route = Route("write", 1, lambda: (0, 0))
    for way in islice(route.ways, 20_000):
        if way == TIMED + OWN:
            route.time(way, 1.0)
    assert route.comparisons == 0
    assert route.way == OWN


def test_an_op_is_timed_only_when_those_of_the_other_way_are_done() -> None:
    done = under_way = 0
    route = Route("write", 1, lambda: (done, under_way))
    # A thousand ops are under way all the time; one is done for each that begins.
    last_own, under_way = 0, 1000
    for number, way in enumerate(islice(route.ways, 20_000)):
        if way % TIMED == OWN:
            last_own = number
        elif way >= TIMED:
            assert done >= last_own + 1000 - 16
            break
        done += 1
    assert way == BESIDE + TIMED


def test_after_a_refusal_all_ops_go_the_drivers_own_way() -> None:
    traffic = Traffic(own=5.0, beside=1.0)
    traffic.flow_until_compared()
    traffic.route.refuse("no thread")
    traffic.flow(100_000)
    assert set(traffic.flow(1000)) == {OWN}
    assert traffic.route.way == OWN
