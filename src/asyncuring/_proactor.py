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
from typing import TYPE_CHECKING

from ._errors import CANCELLED
from ._loops import ClosedLoop
from ._op import Op, Opcode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ._drivers import Port
    from ._loops import Loop

__all__ = ["Account", "Gate", "Proactor", "Uncancellable"]


class Account:
    """How many ops some owner (a file) has with one proactor.

    It counts completions, not awaits: a task may be destroyed while its op is in flight.
    """

    __slots__ = ("on_quiet", "ops", "proactor")

    def __init__(self, proactor: Proactor) -> None:
        """Open an account with `proactor`."""
        self.proactor = proactor
        self.ops = 0
        self.on_quiet: Callable[[], object] | None = None

    def start(self, op: Op) -> Awaitable[int]:
        """Take `op` on. Await the return value, at once, for its result.

        A cancellation may end that await early: then `hold_back`. `perform` does both.
        """
        op.account = self
        self.ops += 1
        proactor = self.proactor
        proactor.backlog.append(op)
        if not proactor.scheduled:
            proactor.schedule()
        return proactor.park(op)

    async def hold_back(self, op: Op) -> None:
        """After a cancelled await on `op`: cancel the op, and wait until it is done."""
        if op.result is None:
            await self.proactor.loop.hold_back(op)

    async def perform(self, op: Op) -> int:
        """Take `op` on and return its result.

        The await ends when the op is done and never earlier: if it is cancelled, the kernel is
        asked to cancel the op and its completion is waited for.
        """
        try:
            return await self.start(op)
        except GeneratorExit:
            raise  # the task is being destroyed and can wait for nothing; the op stays pinned
        except BaseException:
            await self.hold_back(op)
            raise

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

    __slots__ = ("_on_cancel", "_op", "_outcome")

    def __init__(self, proactor: Proactor, on_cancel: Callable[[], object]) -> None:
        """Make a closed gate."""
        super().__init__(proactor)
        self._on_cancel = on_cancel
        self._outcome = 0
        self._op = Op(Opcode.NOP)
        self._op.account = self

    def open(self) -> None:
        """Let the waiting task, or the one that is going to wait, pass."""
        self._op.result = 0
        if self._op.waiter is not None:
            self.proactor.loop.resume(self._op, self._outcome)

    async def wait(self) -> None:
        """Wait until the gate is open."""
        if self._op.result is not None:
            return
        try:
            await self.proactor.park(self._op)
        except GeneratorExit:
            raise
        except BaseException:
            await self.hold_back(self._op)
            raise

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
        "_in_flight",
        "_on_retired",
        "_port",
        "_resume",
        "_retired",
        "backlog",
        "calls",
        "loop",
        "ops_submitted",
        "park",
        "scheduled",
        "thread",
    )

    def __init__(self, port: Port, loop: Loop, depth: int) -> None:
        """Join `port` and `loop`; the loop watches the port's fd from now on."""
        self._port = port
        self.loop = loop
        # Looked up once: a bound method is an object of its own each time.
        self.park, self._resume = loop.park, loop.resume
        self.thread = threading.current_thread()
        self._depth = depth
        self.backlog: deque[Op] = deque()  # waits for depth, or for the end of the tick
        self.calls: deque[Callable[[], object]] = deque()  # from any thread
        self._in_flight: dict[int, Op] = {}
        self._cancels: deque[Op] = deque()
        self._cancels_in_flight: dict[int, Op] = {}
        self.scheduled = False
        self._retired = False
        self._on_retired: Callable[[Proactor], object] | None = None
        self.ops_submitted = 0
        loop.watch(port.fd, self._on_doorbell)

    @property
    def in_flight(self) -> int:
        """How many ops the port has."""
        return len(self._in_flight)

    @property
    def is_quiet(self) -> bool:
        """Whether the kernel has nothing of ours, and nothing waits to be submitted."""
        return not (self._in_flight or self.backlog or self._cancels_in_flight)

    # -- exchanging

    def schedule(self) -> None:
        """Exchange when this tick of the loop ends. Only while not `scheduled`."""
        self.scheduled = True
        self.loop.at_tick_end(self._on_tick_end)

    def _on_tick_end(self) -> None:
        self.scheduled = False
        self.exchange(False)

    def _on_doorbell(self) -> None:
        self.exchange(True)

    def exchange(self, rung: bool) -> None:
        """Submit what depth allows and reap what is complete, up to the port's reap limit."""
        if self._retired:
            return
        port, take, resume = self._port, self._in_flight.pop, self._resume
        completions = port.exchange(self._next_batch(), rung)
        for token, result in completions:
            op = take(token, None)
            if op is None:
                del self._cancels_in_flight[token]
                continue
            op.result = result
            op.pin = None  # whoever keeps the op, as an exception's traceback does, not the buffer
            if op.waiter is not None:
                resume(op, result)
            account = op.account
            account.ops -= 1
            if account.on_quiet is not None:
                account.settle()
        more = len(completions) == port.reap_limit
        if not self.scheduled and (more or self._could_submit()):
            self.schedule()  # otherwise the next completion rings the doorbell
        if self._on_retired is not None:
            self._retire_if_quiet()

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
            op.result = CANCELLED
            op.pin = None
            op.account.ops -= 1
            op.account.settle()
            return True
        self._cancels.append(Op.cancel(op))
        if not self.scheduled:
            self.schedule()
        return False

    def cancel_account(self, account: Account) -> None:
        """See `Account.cancel_all`."""
        ops = [op for op in (*self.backlog, *self._in_flight.values()) if op.account is account]
        for op in ops:
            if self.cancel(op) and op.waiter is not None:
                self._resume(op, CANCELLED)

    def orphan(self) -> None:
        """The loop is gone: cancel all there is. Exchange until `is_quiet`, from any one thread."""
        self.loop = loop = ClosedLoop()
        self.park, self._resume = loop.park, loop.resume
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
        self._retired = True
        self.loop.unwatch(self._port.fd)
        self._port.detach()
        on_retired(self)
