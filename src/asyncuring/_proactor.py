"""The proactor of one event loop: holds its ops, submits them, reaps them, resumes their tasks.

It knows neither asyncio nor trio (the loop parks and resumes), neither io_uring nor threads (the
port carries out) and no errno. Everything here happens in the loop's own thread, so nothing here
is locked.

Ops of one tick of the loop are collected in the backlog and exchanged with the port once, when
the tick ends: one crossing into C submits them all and brings back what is complete. What exceeds
the depth stays in the backlog, first in, first out, which is what makes clients fair.
"""

from __future__ import annotations

import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from ._errors import CANCELLED
from ._loops import ClosedLoop
from ._op import Op, Opcode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ._drivers import Port
    from ._loops import Loop

__all__ = ["Account", "Gate", "Proactor", "Uncancellable"]


class Account:
    """How many ops some owner (a file) has with one proactor.

    It counts completions, not awaits: a task may be destroyed while its op is in flight.
    """

    __slots__ = ("event_loop", "new_op", "on_quiet", "ops", "proactor")

    def __init__(self, proactor: Proactor) -> None:
        """Open an account with `proactor`."""
        self.proactor = proactor
        self.new_op, self.event_loop = proactor.loop.new_op, proactor.loop.event_loop
        self.ops = 0
        self.on_quiet: Callable[[], object] | None = None

    def perform(self, op: Op) -> Op:
        """Take `op`, made by `new_op`, on. It is returned, to be awaited at once.

        The await ends when the op is done and never earlier: if it is cancelled, the kernel is
        asked to cancel the op and its completion is waited for.
        """
        self.ops += 1
        proactor = self.proactor
        proactor.backlog.append(op)
        if not proactor.scheduled:
            proactor.schedule()
        return op

    def cancel(self, op: Op) -> bool:
        """Cancel an op that is not done. True: it never began, and has ended. False: await it."""
        return self.proactor.cancel(op)

    def cancel_all(self) -> None:
        """Ask for the cancellation of every op of this account; whoever awaits one sees that."""
        self.proactor.cancel_account(self)

    def when_quiet(self, callback: Callable[[], object]) -> None:
        """Call `callback` once, as soon as no op is under way: now or at a completion."""
        if self.ops == 0:
            callback()
        else:
            self.on_quiet = callback

    def settle(self) -> None:
        """After an op of this account is done: tell who waits for quiet."""
        if self.ops == 0 and self.on_quiet is not None:
            on_quiet, self.on_quiet = self.on_quiet, None
            on_quiet()


class Uncancellable(Account):
    """An account for ops that no cancellation may stop (closing an fd)."""

    __slots__ = ()

    def cancel(self, op: Op) -> bool:  # noqa: ARG002  Account's signature
        """Go on."""
        return False


class Gate(Account):
    """One task waits here until somebody opens it, in the same loop's thread.

    The task is parked and resumed for an op like any other, but one that is never submitted.
    on_cancel: called if the waiting task is cancelled, which does not end its waiting.
    """

    __slots__ = ("_on_cancel", "_op", "_outcome", "_waiting")

    def __init__(self, proactor: Proactor, on_cancel: Callable[[], object]) -> None:
        """Make a closed gate."""
        super().__init__(proactor)
        self._on_cancel = on_cancel
        self._outcome = 0
        self._waiting = False
        self._op = self.new_op(self, Opcode.NOP)

    def open(self) -> None:
        """Let the waiting task, or the one that is going to wait, pass. Not from within a task."""
        self._op.value = self._outcome
        if self._waiting:
            self.proactor.loop.resume(self._op)

    async def wait(self) -> None:
        """Wait until the gate is open."""
        if self._op.value is None:
            self._waiting = True
            await self._op

    def cancel(self, op: Op) -> bool:  # noqa: ARG002  Account's signature
        """Pass it on; the cancellation is raised when the gate opens, not earlier."""
        self._outcome = CANCELLED
        self._on_cancel()
        return False


class Proactor:
    """Performs ops for the tasks of one event loop through one port.

    depth: the most ops that may be in flight; on top come as many cancels at most.
    """

    __slots__ = (
        "_cancels",
        "_cancels_in_flight",
        "_depth",
        "_full",
        "_in_flight",
        "_on_retired",
        "_port",
        "_reaped",
        "_retired",
        "_taking_turns",
        "backlog",
        "calls",
        "inline_reads",
        "loop",
        "ops_submitted",
        "scheduled",
        "thread",
    )

    def __init__(self, port: Port, loop: Loop, depth: int) -> None:
        """Join `port` and `loop`; the loop watches the port's fd from now on."""
        self._port = port
        self.loop = loop
        self.thread = threading.current_thread()
        self._depth = depth
        self.backlog: deque[Op] = deque()  # waits for depth, or for the end of the tick
        self.calls: deque[Callable[[], object]] = deque()  # from any thread
        self._in_flight: dict[int, Op] = {}
        self._cancels: deque[Op] = deque()
        self._cancels_in_flight: dict[int, Op] = {}
        self._reaped: Sequence[tuple[int, int]] = ()  # completions whose tasks still wait
        self._full = False  # whether the last exchange brought all that it may: there may be more
        self.scheduled = False  # whether a tick of ours is to come, so that ops will be submitted
        self._retired = False
        self._on_retired: Callable[[Proactor], object] | None = None
        self.ops_submitted = 0
        self.inline_reads = 0
        self._taking_turns = 0  # tasks that have read inline and let others run
        loop.watch(port.fd, partial(self.poll, True))

    @property
    def in_flight(self) -> int:
        """How many ops the port has."""
        return len(self._in_flight)

    @property
    def is_quiet(self) -> bool:
        """Whether the kernel has nothing of ours, and nothing waits to be submitted."""
        return not (self._in_flight or self.backlog or self._cancels_in_flight)

    # -- reads that need no port

    @property
    def is_calm(self) -> bool:
        """Whether what is under way fits into one reap.

        Then a driver's copying could not overlap with the tasks' own work: all of them would wait
        for it, and it for all of them. Measured with cached 8 KiB reads on two cores: up to 32
        tasks inline reads were 2 to 5 times as fast, with 64 the ring was 1.4 to 1.6 times as fast.
        """
        under_way = self._taking_turns + len(self._in_flight) + len(self.backlog)
        return under_way < self._port.reap_limit

    async def take_turns(self) -> None:
        """Let other tasks run, after a read that was done inline."""
        self.inline_reads += 1
        self._taking_turns += 1
        try:
            await self.loop.checkpoint()
        finally:
            self._taking_turns -= 1

    # -- exchanging

    def schedule(self) -> None:
        """Have a tick of ours when this tick of the loop ends. Only while not `scheduled`."""
        self.scheduled = True
        self.loop.at_tick_end(self.tick)

    def poll(self, rung: bool = False) -> None:
        """Reap now, and go on as in a tick. rung: because the port's fd was readable."""
        if not self._retired:
            self._reaped = (*self._reaped, *self._exchange(self._next_batch(), rung))
            self.tick()

    def tick(self) -> None:
        """Resume the tasks whose ops are done, submit what they ask for next, and reap.

        One crossing into C does both. What it reaped is resumed in the next tick, so that one tick
        does a bounded amount of work and everybody else in the loop has his turn in between.
        """
        self.scheduled = True  # nobody need ask for what is about to be done
        try:
            self._resume_reaped()
            batch = self._next_batch()
            if not self._retired and (batch or self._full):
                self._reaped = self._exchange(batch, False)
        finally:
            self.scheduled = False
            if self._reaped or self._full or self._could_submit():
                self.schedule()  # otherwise the port rings when there is more
        if self._on_retired is not None:
            self._retire_if_quiet()

    def _exchange(self, batch: list[Op], rung: bool) -> Sequence[tuple[int, int]]:
        reaped = self._port.exchange(batch, rung)
        self._full = len(reaped) == self._port.reap_limit
        return reaped

    def _resume_reaped(self) -> None:
        take, resume = self._in_flight.pop, self.loop.resume
        reaped = iter(self._reaped)
        try:
            for token, value in reaped:
                op = take(token, None)
                if op is None:
                    del self._cancels_in_flight[token]
                    continue
                op.value = value
                op.pin = None  # whoever keeps the op, as a traceback does, not the buffer
                account = op.account
                account.ops -= 1
                try:
                    resume(op)
                finally:
                    if account.on_quiet is not None:
                        account.settle()
        finally:
            # Empty, unless a task was left by KeyboardInterrupt or SystemExit: the loop passes
            # these on, and may be run again.
            self._reaped = tuple(reaped)

    def _room(self) -> int:
        return self._depth - len(self._in_flight)

    def _could_submit(self) -> bool:
        if self.backlog and self._room() > 0:
            return True
        return bool(self._cancels) and len(self._cancels_in_flight) < self._depth

    def _next_batch(self) -> list[Op]:
        """Take from the backlog what there is room for, and put it in flight."""
        backlog, in_flight, tokens = self.backlog, self._in_flight, self._port.tokens
        room = self._room()
        if len(backlog) <= room:
            batch = list(backlog)
            backlog.clear()
        else:
            batch = [backlog.popleft() for _ in range(room)]
        for op, token in zip(batch, tokens):  # noqa: B905  the tokens never end
            op.token = token
            in_flight[token] = op
        self.ops_submitted += len(batch)
        return self._next_cancels() + batch if self._cancels else batch

    def _next_cancels(self) -> list[Op]:
        # A cancel may outlast its target, and a target be asked for by its task and by its file:
        # so these, too, keep to the depth.
        cancels: list[Op] = []
        while self._cancels and len(self._cancels_in_flight) < self._depth:
            op = self._cancels.popleft()
            if op.argument in self._in_flight:  # a target that is done by now needs none
                op.token = token = next(self._port.tokens)
                self._cancels_in_flight[token] = op
                cancels.append(op)
        return cancels

    # -- cancelling

    def cancel(self, op: Op) -> bool:
        """See `Account.cancel`."""
        if op.token == 0:
            self.backlog.remove(op)
            op.value = CANCELLED
            op.pin = None
            op.account.ops -= 1
            op.account.settle()
            return True
        self._cancels.append(Op(None, Opcode.CANCEL, argument=op.token))
        if not self.scheduled:
            self.schedule()
        return False

    def cancel_account(self, account: Account) -> None:
        """See `Account.cancel_all`."""
        ops = [op for op in (*self.backlog, *self._in_flight.values()) if op.account is account]
        for op in ops:
            # A task that was resumed for the op before may have cancelled this one.
            if op.value is None and self.cancel(op):
                self.loop.resume(op)

    def orphan(self) -> None:
        """Cancel all there is, for the loop is gone. `poll` until `is_quiet`, from one thread."""
        self.loop = ClosedLoop()
        for op in (*self.backlog, *self._in_flight.values()):
            self.cancel(op)
        self.run_calls()

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
