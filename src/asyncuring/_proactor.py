"""The proactor of one event loop: holds its ops, submits them, reaps them, resumes their tasks.

It knows neither asyncio nor trio (the loop parks and resumes), neither io_uring nor threads (the
port carries out) and no errno. Everything here happens in the loop's own thread, so nothing here
is locked.

KeyboardInterrupt may come wherever CPython looks for signals: when a function is entered or has
returned, and at the end of a turn of a loop. What must not be torn apart stands between two such
places; the rest is put right when it was interrupted, or can be done again.

Ops of one tick of the loop are collected in the backlog and exchanged with the port once, when
the tick ends: one crossing into C submits them all and brings back what is complete. What exceeds
the depth stays in the backlog (`_flows`): first in, first out, which is what makes clients fair.
"""

from __future__ import annotations

import threading
from collections import deque
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from ._cancelling import Cancelling
from ._flows import OP_COST, Flows
from ._io_class import CLASSES_MAX
from ._loops import ClosedLoop
from ._op import SIDE_MASK, Opcode, bytes_of
from ._slow_ops import SlowLog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ._drivers import Port
    from ._flows import Flow
    from ._loops import Loop
    from ._op import Bundle, Op, Waiter
    from ._routes import Route

__all__ = ["Proactor"]


class Proactor(Cancelling):
    """Performs ops for the tasks of one event loop through one port.

    depth: the most ops that may be in flight; on top come as many cancels at most.
    """

    __slots__ = (
        "_alarm_at",
        "_bundles",
        "_cancels",
        "_cancels_before",
        "_cancels_in_flight",
        "_depth",
        "_full",
        "_had_in_flight",
        "_in_flight",
        "_on_retired",
        "_port",
        "_reaped",
        "_retired",
        "_slow_log",
        "_taking_turns",
        "afterwards",
        "calls",
        "flows",
        "inline_reads",
        "is_calm",
        "is_orphan",
        "loop",
        "ops_submitted",
        "read_cached",
        "routes",
        "scheduled",
        "thread",
    )

    def __init__(self, port: Port, loop: Loop, depth: int) -> None:
        """Join `port` and `loop`; the loop watches the port's fd from now on."""
        self._port = port
        self.loop = loop
        self.read_cached = port.read_cached
        self.thread = threading.current_thread()
        self._depth = depth
        self.flows = Flows(depth)  # what waits for depth, or for the end of the tick
        self.calls: deque[Callable[[], object]] = deque()  # from any thread
        self._in_flight: dict[int, Op] = {}
        self._bundles: dict[Waiter, Bundle] = {}  # those of which an op is not done
        self._cancels: deque[int] = deque()  # tokens of their targets
        self._cancels_in_flight: set[int] = set()
        self._cancels_before: tuple[deque[int], set[int]] | None = None  # see `_put_right`
        self._reaped: Sequence[tuple[int, int]] = ()  # completions whose tasks still wait
        self._had_in_flight = 0  # after the last batch was taken from the backlog
        self._alarm_at: float = inf
        self._full = False  # whether the last exchange brought all that it may: there may be more
        self.scheduled = False  # whether a tick of ours is to come, so that ops will be submitted
        self._retired = False
        self._on_retired: Callable[[Proactor], object] | None = None
        self.ops_submitted = 0
        # By number of the class. In a list, where counting costs a read nothing (a dict: 50 ns).
        self.inline_reads = [0] * CLASSES_MAX
        self.is_calm = True  # as of the last tick, or the last read that was done inline
        self.routes: dict[tuple[str, int], Route] = {}  # kept here for its files
        self.afterwards: set[Callable[[], object]] = set()  # called once, after the next tick
        self.is_orphan = False  # whether its loop is gone, and all was cancelled
        self._slow_log = SlowLog()
        self._taking_turns = 0  # tasks that have read inline and let others run
        loop.withdraw = self.withdraw
        loop.watch(port.fd, partial(self.poll, True), self._look)

    @property
    def in_flight(self) -> int:
        """How many ops the port has."""
        return len(self._in_flight)

    @property
    def is_quiet(self) -> bool:
        """Whether the kernel has nothing of ours, and nothing waits to be submitted."""
        return not (self._in_flight or self.flows.waiting() or self._cancels_in_flight)

    def progress(self) -> tuple[int, int]:
        """Return how many ops the port has done, and how many are under way."""
        in_flight = len(self._in_flight)
        return self.ops_submitted - in_flight, in_flight + self.flows.waiting()

    # -- reads that need no port

    async def take_turns(self, class_number: int) -> None:
        """Let other tasks run, after a read that was done inline."""
        self.inline_reads[class_number] += 1
        self._taking_turns += 1
        self._look_whether_calm()
        try:
            await self.loop.checkpoint()
        finally:
            self._taking_turns -= 1
            if not self.is_calm:  # else one less changes nothing
                self._look_whether_calm()

    def _look_whether_calm(self) -> None:
        """Note whether what is under way fits into one reap.

        Then a driver's copying could not overlap with the tasks' own work: all of them would wait
        for it, and it for all of them. Measured with cached 8 KiB reads on two cores: up to 32
        tasks inline reads were 2 to 5 times as fast, with 64 the ring was 1.4 to 1.6 times as fast.
        """
        under_way = self._taking_turns + len(self._in_flight) + self.flows.waiting()
        self.is_calm = under_way < self._port.reap_limit

    # -- taking on

    def take_on(self, bundle: Bundle, flow: Flow, ops: Mapping[Waiter, Op]) -> None:
        """Put the ops of `bundle`, whose waiters are its indices, into the backlog of `flow`.

        Only while `scheduled`.
        """
        account, count = ops[bundle, 0][1], len(ops)
        self._bundles[bundle.waiter] = bundle
        account.ops += count  # in one step with what follows: see `Account.perform`
        flow.backlog.update(ops)

    # -- exchanging

    def schedule(self) -> None:
        """Have a tick when this one of the loop ends, for an op that comes; if not `scheduled`."""
        self.flows.note_the_time()
        self._schedule_tick()

    def _schedule_tick(self) -> None:
        self.loop.at_tick_end(self.tick)
        self.scheduled = True

    def see_to_it(self) -> None:
        """Have a tick, even if one is `scheduled`.

        A loop that KeyboardInterrupt left may have forgotten the callback that it was about to
        call; then tasks are cancelled and files closed, which asks for this.
        """
        if not self.loop.is_closed():  # who drains it, does it all
            self._schedule_tick()

    def poll(self, rung: bool = False) -> None:
        """Reap now, and go on as in a tick. rung: because the port's fd was readable."""
        if self._retired:
            return
        try:
            self._exchange(rung, at_any_rate=True)
            self.tick()
        except BaseException:  # as below
            self.see_to_it()
            raise

    def _look(self) -> bool:
        """Reap now, for a loop that cannot watch; returns whether there is more to come."""
        self.flows.note_the_time()  # for what waits for its rate: no alarm will come
        self.poll(True)
        return not (self.is_quiet or self._retired)

    def tick(self) -> None:
        """Resume the tasks whose ops are done, submit what they ask for next, and reap.

        One crossing into C does both. Where resuming a task means to run it, what was reaped is
        resumed in the next tick, so that one tick does a bounded amount of work and everybody else
        in the loop has his turn in between.
        """
        self.scheduled = True  # nobody need ask for what is about to be done
        try:
            self._resume_reaped()
            if not self._retired:
                self._exchange(False)
                if not self.loop.resumes_at_once:
                    self._resume_reaped()
            self.scheduled = False
            self._look_whether_calm()
            if self._reaped or self._full or self._could_submit():
                self._schedule_tick()  # otherwise the port rings when there is more
        except BaseException:  # KeyboardInterrupt, SystemExit of a task: the loop may be run again
            self.see_to_it()
            raise
        if self.afterwards:
            afterwards, self.afterwards = self.afterwards, set()
            for callback in afterwards:
                callback()
        if self._on_retired is not None:
            self._retire_if_quiet()

    def _exchange(self, rung: bool, *, at_any_rate: bool = False) -> None:
        """Submit what there is room for, and take over what is complete."""
        port, flows = self._port, self.flows
        try:
            batch = self._next_batch()
            if batch or self._full or at_any_rate:
                count = len(flows.taken)
                reaped = port.exchange(batch, rung)
                # In one step, without a call in between.
                self._reaped = (*self._reaped, *reaped) if self._reaped else reaped
                self.ops_submitted += count
                port.unheard, flows.taken, self._cancels_before = False, (), None
                if port.slow_ops:
                    self.afterwards.add(self._slow_log.note(port.slow_ops, self._in_flight))
                self._full = len(reaped) == port.reap_limit
        except BaseException:  # KeyboardInterrupt
            self._put_right()
            raise

    def _put_right(self) -> None:
        """After an interruption: the port has what was taken out of the backlog, or that has."""
        port, taken = self._port, self.flows.taken
        self._full = True  # there may be more, and perhaps nobody rings
        if port.unheard:
            self._reaped = (*self._reaped, *port.hear())
            self.ops_submitted += len(taken)
        else:
            waiters = {op[0] for op in taken}
            for token in [token for token, op in self._in_flight.items() if op[0] in waiters]:
                del self._in_flight[token]
            self.flows.put_back(self._in_flight)
            if self._cancels_before is not None:
                self._cancels, self._cancels_in_flight = self._cancels_before
        port.unheard, self.flows.taken, self._cancels_before = False, (), None

    def _resume_reaped(self) -> None:
        if not self._reaped:
            return
        self.flows.note_the_time()  # for the ops of the tasks that are resumed
        in_flight, resume = self._in_flight, self.loop.resume
        counting = self.flows.alone is None
        for token, value in self._reaped:
            op = in_flight.get(token)
            if op is None:  # a cancel; or done before a task was left by KeyboardInterrupt
                self._cancels_in_flight.discard(token)
                continue
            waiter, account, flow = op[0], op[1], op[7]
            cost = bytes_of(op) + OP_COST if counting else 0
            # In one step, without a call in between.
            del in_flight[token]
            account.ops -= 1
            if counting:
                flow.ops -= 1
                flow.cost -= cost
            try:
                del op  # and with it the pin: the buffer is the task's again
                if type(waiter) is tuple:
                    self._collect(waiter, value, resume)
                else:
                    resume(waiter, value)
                if account.on_quiet is not None:
                    account.settle(value)
            except BaseException:  # as above; whatever of this was done is not done twice
                if type(waiter) is tuple:
                    self._collect(waiter, value, self.loop.resume_soon)
                else:
                    self.loop.resume_soon(waiter, value)
                if account.on_quiet is not None:
                    account.settle(value)
                raise
        self._reaped = ()

    def _collect(
        self, place: tuple[Bundle, int], value: int, resume: Callable[[Waiter, int], None]
    ) -> None:
        """Note the result of one op of a bundle, once; after the last, resume the task."""
        bundle, index = place
        if bundle.results[index] is None:
            bundle.results[index] = value
            bundle.left -= 1
            if value < 0:
                bundle.value = value
        if bundle.left == 0:
            self._bundles.pop(bundle.waiter, None)
            resume(bundle.waiter, bundle.value)

    def _could_submit(self) -> bool:
        if len(self._in_flight) < self._had_in_flight and self.flows.waiting():
            return True  # what came back has made room
        return bool(self._cancels) and len(self._cancels_in_flight) < self._depth

    def _next_batch(self) -> list[tuple[int, Op]]:
        """Take from the backlog what there is room for, and put it in flight."""
        ops = self.flows.next_ops(self._in_flight)
        if self.flows.ask_again_at is not None:
            self._set_alarm(self.flows.ask_again_at)
        # The tokens never end; the one that zip takes too many names nothing.
        batch = list(zip(self._port.tokens, ops))  # noqa: B905
        self._in_flight.update(batch)
        self._had_in_flight = len(self._in_flight)
        return self._next_cancels() + batch if self._cancels else batch

    def _set_alarm(self, at: int) -> None:
        """Have a tick at a time of `Flows`' clock; one that is sooner makes a later one useless."""
        if at < self._alarm_at:
            self._alarm_at = at
            self.loop.call_later(self.flows.seconds_until(at), self._on_alarm)

    def _on_alarm(self) -> None:
        self._alarm_at = inf
        if not (self.scheduled or self._retired):
            self.schedule()

    def _next_cancels(self) -> list[tuple[int, Op]]:
        # A cancel may outlast its target, and a target be asked for by its task and by its file:
        # so these, too, keep to the depth.
        cancels: list[tuple[int, Op]] = []
        self._cancels_before = (self._cancels.copy(), self._cancels_in_flight.copy())
        while self._cancels and len(self._cancels_in_flight) < self._depth:
            target = self._cancels.popleft()
            op = self._in_flight.get(target)
            if op is not None:  # a target that is done by now needs none
                token = next(self._port.tokens)
                self._cancels_in_flight.add(token)
                opcode = Opcode.CANCEL | op[3] & SIDE_MASK  # it goes where its target is
                cancels.append(
                    (token, (None, None, None, opcode, -1, 0, target, op[7], op[7].origin))
                )
        return cancels

    # -- ending

    def orphan(self) -> None:
        """Cancel all there is, for the loop is gone. `poll` until `is_quiet`, from one thread."""
        self.loop = ClosedLoop()
        for token in self._in_flight:
            self._ask_for_cancel(token)
        for waiter in [op[0] for op in self.flows.ops()]:
            self.withdraw(waiter)
        self.run_calls()
        self.is_orphan = True  # at last: where this is interrupted, it is done again

    def run_calls(self) -> None:
        """Run what others have asked for in `calls`.

        They are kept here because a loop that is closed forgets what it was to call.
        """
        while self.calls:
            self.calls.popleft()()

    # -- retiring

    def retire(self, on_retired: Callable[[Proactor], object]) -> None:
        """Leave port and loop as soon as nothing is under way, then call `on_retired(self)`.

        Asked again, it goes on with the last `on_retired`; one that has retired has no more to do.
        """
        if self._retired:
            return
        self._on_retired = on_retired
        self._retire_if_quiet()

    def _retire_if_quiet(self) -> None:
        on_retired = self._on_retired
        if on_retired is None or not self.is_quiet:
            return
        self._on_retired = None
        self._retired, self._full = True, False
        self.loop.unwatch(self._port.fd)
        self._port.detach()
        on_retired(self)
