"""Whose turn it is: the flows of one event loop by themselves, on a clock of the test's."""

from __future__ import annotations

from collections import Counter, deque
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncuring import IoClass
from asyncuring._flows import GRACE_NS, OP_COST, WINDOW, Flows
from asyncuring._op import Opcode

if TYPE_CHECKING:
    from asyncuring._op import Op

DEPTH = 256
BLOCK = 8192
READ = int(Opcode.READ)

# So many reads of a block fill the window.
FULL = WINDOW // (BLOCK + OP_COST)


class Desk:
    """Flows, and a device that gives back what it has in the order in which it came."""

    def __init__(self) -> None:
        self.now = 0
        self.flows = Flows(DEPTH, lambda: self.now)
        self.in_flight: dict[int, Op] = {}
        self.served: list[IoClass] = []
        self._tokens = count()

    def ask(self, io_class: IoClass, ops: int, size: int = BLOCK) -> list[object]:
        flow = self.flows[io_class]
        waiters = [object() for _ in range(ops)]
        for waiter in waiters:
            flow.backlog[waiter] = (waiter, None, None, READ, -1, size, 0, flow, 0)
        return waiters

    def tick(self) -> list[IoClass]:
        """Let the ops begin whose turn it is; returns their classes, in order."""
        self.flows.note_the_time()
        ops = self.flows.next_ops(self.in_flight)
        self.in_flight.update(zip(self._tokens, ops))  # noqa: B905  tokens never end
        classes = [op[7].io_class for op in ops]
        self.served += classes
        return classes

    def give_back(self, io_class: IoClass | None = None) -> IoClass:
        """End the oldest op, or the oldest of a class."""
        token = next(
            token for token, op in self.in_flight.items() if io_class in (None, op[7].io_class)
        )
        op = self.in_flight.pop(token)
        if self.flows.alone is None:
            op[7].ops -= 1
            op[7].cost -= op[5] + OP_COST
        classed: IoClass = op[7].io_class
        return classed

    def has(self, io_class: IoClass) -> int:
        return sum(op[7].io_class is io_class for op in self.in_flight.values())


@pytest.fixture
def desk() -> Desk:
    return Desk()


ONE, THREE = IoClass("one", 100), IoClass("three", 300)


def test_a_class_alone_has_the_whole_depth_in_order(desk: Desk) -> None:
    waiters = desk.ask(ONE, DEPTH + 5)
    desk.tick()
    assert [op[0] for op in desk.in_flight.values()] == waiters[:DEPTH]
    desk.give_back()
    desk.tick()
    assert list(desk.in_flight.values())[-1][0] is waiters[DEPTH]
    assert desk.flows.alone is desk.flows[ONE]


def test_shares_of_three_to_one_give_ops_of_three_to_one(desk: Desk) -> None:
    desk.ask(ONE, 400)
    desk.ask(THREE, 400)
    desk.tick()
    while len(desk.served) < 400:
        desk.give_back()
        desk.tick()
    for end in range(4, 401, 4):
        assert abs(Counter(desk.served[:end])[ONE] - end // 4) <= 1


def test_large_ops_take_their_turn_less_often(desk: Desk) -> None:
    """15 x (8 KiB + 32 KiB) are as much as 568 KiB + 32 KiB."""
    small, large = IoClass("small"), IoClass("large")
    desk.ask(small, 400)
    desk.ask(large, 400, 15 * (BLOCK + OP_COST) - OP_COST)
    desk.tick()
    while len(desk.served) < 320:
        desk.give_back()
        desk.tick()
    assert abs(Counter(desk.served[:320])[large] - 20) <= 1


def test_what_is_in_flight_is_kept_short_while_several_are_at_work(desk: Desk) -> None:
    desk.ask(ONE, 400)
    desk.ask(THREE, 400)
    desk.tick()
    assert desk.has(ONE) + desk.has(THREE) == FULL
    assert desk.has(ONE) == FULL // 4


def test_a_class_between_two_ops_finds_its_part_free(desk: Desk) -> None:
    desk.ask(ONE, DEPTH)
    desk.ask(THREE, 2)
    for _ in range(1000):
        desk.tick()
        assert desk.has(ONE) <= FULL // 4
        assert not desk.flows[THREE].backlog
        desk.give_back(ONE)
        if desk.has(THREE):
            desk.give_back(THREE)  # it takes its time until it asks for the next
        else:
            desk.ask(THREE, 2)
        desk.now += GRACE_NS // 3
        desk.ask(ONE, 1)


def test_a_class_that_is_left_alone_has_everything(desk: Desk) -> None:
    desk.ask(ONE, 2 * DEPTH)
    desk.ask(THREE, 2)
    desk.tick()
    desk.give_back(THREE)
    desk.give_back(THREE)
    desk.now += 1
    desk.tick()
    assert desk.has(ONE) == FULL // 4
    desk.now += GRACE_NS // 2
    desk.give_back(ONE)
    desk.tick()
    assert desk.has(ONE) == FULL // 4
    desk.now += GRACE_NS // 2
    desk.give_back(ONE)
    desk.tick()
    assert desk.has(ONE) == DEPTH
    assert desk.flows.alone is desk.flows[ONE]


def test_a_class_whose_ops_hang_holds_nobody_up(desk: Desk) -> None:
    desk.ask(ONE, FULL)
    desk.tick()
    desk.ask(ONE, 10)
    desk.ask(THREE, 5)
    desk.flows[ONE].start = 0  # ONE's turn, and no room for it
    desk.tick()
    desk.now += GRACE_NS
    desk.tick()
    assert desk.has(THREE) == 5
    # One of its ops goes all the same each time, for it may be what the others wait for.
    assert desk.has(ONE) == FULL + 1
    assert desk.flows.ask_again_at == desk.now + GRACE_NS
    desk.now += GRACE_NS
    desk.give_back(THREE)
    desk.tick()
    assert desk.has(ONE) == FULL + 2
    # When ops of it come back, it goes on with its part.
    for _ in range(FULL + 1):
        desk.give_back(ONE)
    desk.tick()
    assert desk.has(ONE) == FULL // 4


def test_the_flows_ask_for_a_tick_when_a_class_may_hang(desk: Desk) -> None:
    desk.ask(ONE, 1)
    desk.tick()
    desk.ask(ONE, 2 * FULL)
    desk.ask(THREE, 2 * FULL)
    desk.now = 5
    desk.tick()
    assert desk.flows.ask_again_at == 5 + GRACE_NS


def test_a_class_saves_nothing_up(desk: Desk) -> None:
    desk.ask(ONE, 1000)
    desk.ask(THREE, 1)
    desk.tick()
    while len(desk.served) < 200:
        desk.give_back()
        desk.tick()
    desk.ask(THREE, 400)
    before = len(desk.served)
    while len(desk.served) < before + 100:
        desk.give_back()
        desk.tick()
    assert abs(Counter(desk.served[before : before + 100])[ONE] - 25) <= 1


def test_a_withdrawn_op_costs_its_class_nothing(desk: Desk) -> None:
    desk.ask(ONE, 400)
    waiters = desk.ask(THREE, 400)
    desk.tick()
    for waiter in waiters[50:300]:
        op = desk.flows.find(waiter)
        assert op is not None
        del op[7].backlog[waiter]
    while len(desk.served) < 160:
        desk.give_back()
        desk.tick()
    assert abs(Counter(desk.served[:160])[ONE] - 40) <= 1


def test_no_more_than_the_depth_of_a_class_is_in_flight(desk: Desk) -> None:
    narrow = IoClass("narrow", depth=3)
    desk.ask(narrow, 10)
    for left in range(7, 0, -1):
        desk.tick()
        assert (desk.has(narrow), len(desk.flows[narrow].backlog)) == (3, left)
        assert desk.flows.ask_again_at is None
        desk.give_back()
    desk.ask(ONE, 5)
    desk.tick()
    assert (desk.has(narrow), desk.has(ONE)) == (3, 5)


@pytest.mark.parametrize(
    "limit", [{"ops_per_second": 100}, {"bytes_per_second": 100 * BLOCK}], ids=str
)
def test_a_rate_is_kept(desk: Desk, limit: dict[str, int]) -> None:
    io_class = IoClass("rate", **limit)
    begun = desk.now
    desk.ask(io_class, 250)
    times = []
    while desk.flows[io_class].backlog:
        times += [desk.now - begun] * len(desk.tick())
        while desk.in_flight:
            desk.give_back()
        if desk.flows.ask_again_at is not None:
            assert desk.flows.ask_again_at > desk.now
            desk.now = desk.flows.ask_again_at
    # Three at once, for the bucket holds 20 ms, and one may take out more than there is.
    assert times == [0] * 3 + [10_000_000 * number for number in range(1, 248)]


def test_a_late_loop_makes_up_for_20_ms(desk: Desk) -> None:
    io_class = IoClass("late", ops_per_second=100)
    desk.ask(io_class, 250)
    desk.tick()
    desk.now += 1_000_000_000
    assert len(desk.tick()) == 3


def test_a_rate_holds_for_all_loops_together() -> None:
    io_class = IoClass("everywhere", ops_per_second=100)
    desks = [Desk(), Desk()]
    for desk in desks:
        desk.ask(io_class, 250)
    begun = 0
    for now in range(0, 1_000_000_001, 1_000_000):
        for desk in desks:
            desk.now = now
            begun += len(desk.tick())
            while desk.in_flight:
                desk.give_back()
    assert begun == 103


def test_a_class_that_waits_for_its_rate_holds_nobody_up(desk: Desk) -> None:
    slow = IoClass("slow", 10_000, ops_per_second=1)
    desk.ask(slow, 50)
    desk.ask(ONE, 5)
    desk.tick()
    assert (desk.has(slow), desk.has(ONE)) == (1, 5)


Requests = list[tuple[int, int]]

CLASSES = {share: IoClass(f"of {share} shares", share) for share in (1, 2, 3, 5, 12)}


@given(
    shares=st.lists(st.sampled_from(list(CLASSES)), min_size=2, max_size=4, unique=True),
    requests=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1 << 20)), max_size=400),
    served_per_tick=st.integers(1, 40),
)
def test_nobody_starves(shares: list[int], requests: Requests, served_per_tick: int) -> None:
    """Theorem 1 of the paper on start-time fair queueing.

    Over any time in which two classes have ops that wait, what they were served, divided by their
    shares, differs by no more than the cost of the largest op of each, divided likewise.
    """
    desk = Desk()
    classes = [CLASSES[share] for share in shares]
    for number, size in requests:
        desk.ask(classes[number % len(classes)], 1, size)
    largest = {
        io_class: max((op[5] for op in desk.flows[io_class].backlog.values()), default=0) + OP_COST
        for io_class in classes
    }
    ops = order_of_service(desk, served_per_tick)
    assert len(ops) == len(requests)
    left = Counter(op[7].io_class for op in ops)
    together = [io_class for io_class in classes if left[io_class]]
    served: Counter[IoClass] = Counter()
    for op in ops:
        io_class = op[7].io_class
        left[io_class] -= 1
        together = [one for one in together if left[one]]
        served[io_class] += op[5] + OP_COST
        for one in together:
            for other in together:
                lag = served[one] / one.shares - served[other] / other.shares
                assert lag <= largest[one] / one.shares + largest[other] / other.shares + 1e-6


def order_of_service(desk: Desk, served_per_tick: int) -> list[Op]:
    order: list[Op] = []
    known: set[int] = set()
    queue: deque[int] = deque()
    while desk.flows.waiting() or desk.in_flight:
        desk.tick()
        new = [token for token in desk.in_flight if token not in known]
        known.update(new)
        queue.extend(new)
        order += [desk.in_flight[token] for token in new]
        for _ in range(min(served_per_tick, len(queue))):
            queue.popleft()
            desk.give_back()
    return order
