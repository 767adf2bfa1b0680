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
from itertools import count
from typing import TYPE_CHECKING

from ._errors import CANCELLED
from ._loops import ClosedLoop
from ._op import Op, Opcode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ._drivers import Port
    from ._loops import Loop

__all__ = ["Account", "Gate", "Proactor"]

# Tokens are never used twice in a process, so a late cancel can hit no other op.
_activations = count(1)


class Account:
    """How many ops some owner (a file) has with one proactor.

    It counts completions, not awaits: a task may be destroyed while its op is in flight.
    """

    __slots__ = ("on_quiet", "ops", "perform", "proactor")

    def __init__(self, proactor: Proactor) -> None:
        """Open an account with `proactor`."""
        self.proactor = proactor
        self.perform = proactor.perform
        self.ops = 0
        self.on_quiet: Callable[[], object] | None = None

    def when_quiet(self, callback: Callable[[], object]) -> None:
        """Call `callback` once, as soon as no op is under way: now or at a completion."""
        if self.ops == 0:
            callback()
        else:
            self.on_quiet = callback

    def cancel_all(self) -> None:
        """Ask for the cancellation of every op of this account."""
        self.proactor.cancel_account(self)


class Gate:
    """One task of `loop` waits until it is opened, in the loop's thread."""

    def __init__(self, loop: Loop) -> None:
        """Make a closed gate."""
        self._loop = loop
        self._op = Op(Opcode.NOP)  # parked and resumed like an op, and never submitted
        self._outcome = 0

    def open(self) -> None:
        """Let the waiting task, or the one that is going to wait, pass."""
        self._op.result = 0
        if self._op.waiter is not None:
            self._loop.resume(self._op, self._outcome)

    async def wait(self, on_cancel: Callable[[], object]) -> None:
        """Wait. A cancellation calls `on_cancel` and is raised when the gate opens, not earlier."""

        def cancel(_op: Op) -> bool:
            self._outcome = CANCELLED
            on_cancel()
            return False

        if self._op.result is None:
            await self._loop.park(self._op, cancel)


class Proactor:
    """Performs ops for the tasks of one event loop through one port.

    depth: the most ops that may be in flight; on top come as many cancels at most.
    """

    __slots__ = (
        "_backlog",
        "_cancels",
        "_cancels_in_flight",
        "_depth",
        "_in_flight",
        "_on_retired",
        "_own_account",
        "_port",
        "_retired",
        "_scheduled",
        "loop",
        "ops_submitted",
        "thread",
    )

    def __init__(self, port: Port, loop: Loop, depth: int) -> None:
        """Join `port` and `loop`; the loop watches the port's fd from now on."""
        self._port = port
        self.loop = loop
        self.thread = threading.current_thread()
        self._depth = depth
        self._backlog: deque[Op] = deque()
        self._in_flight: dict[int, Op] = {}
        self._cancels: deque[Op] = deque()
        self._cancels_in_flight: dict[int, Op] = {}
        self._scheduled = False
        self._retired = False
        self._on_retired: Callable[[Proactor], object] | None = None
        self._own_account = Account(self)
        self.ops_submitted = 0
        loop.watch(port.fd, self._on_doorbell)

    @property
    def in_flight(self) -> int:
        """Ops that the port has."""
        return len(self._in_flight)

    @property
    def backlog(self) -> int:
        """Ops that wait for depth, or for the end of the tick."""
        return len(self._backlog)

    @property
    def is_quiet(self) -> bool:
        """Whether the kernel has nothing of ours, and nothing waits to be submitted."""
        return not (self._in_flight or self._backlog or self._cancels_in_flight)

    # -- performing

    def perform(self, op: Op, account: Account) -> Awaitable[int]:
        """Take `op` on; await the return value, at once, for its result.

        The await ends when the op is done and never earlier: if it is cancelled, the kernel is
        asked to cancel the op and its completion is waited for.
        """
        self._enqueue(op, account)
        return self.loop.park(op, self._cancel)

    def perform_regardless(self, op: Op) -> Awaitable[int]:
        """Like `perform`, for an op that no cancellation may stop (closing an fd)."""
        self._enqueue(op, self._own_account)
        return self.loop.park(op, _never_cancelled)

    def _enqueue(self, op: Op, account: Account) -> None:
        op.account = account
        account.ops += 1
        self._backlog.append(op)
        if not self._scheduled:
            self._schedule()

    # -- cancelling

    def _cancel(self, op: Op) -> bool:
        """Cancel an op that is not done. True: it never began, and has ended. False: await it."""
        if op.token == 0:
            self._backlog.remove(op)
            self._settle(op, CANCELLED)
            return True
        self._cancels.append(Op.cancel(op))
        if not self._scheduled:
            self._schedule()
        return False

    def cancel_account(self, account: Account) -> None:
        """Cancel every op of `account`; whoever awaits one sees it end as cancelled."""
        for op in [op for op in self._backlog if op.account is account]:
            self._backlog.remove(op)
            self._complete(op, CANCELLED)
        for op in self._in_flight.values():
            if op.account is account:
                self._cancel(op)

    def orphan(self) -> None:
        """The loop is gone: cancel all there is. Exchange until `is_quiet`, from any one thread."""
        self.loop = ClosedLoop()
        for op in list(self._backlog):
            self._cancel(op)
        for op in self._in_flight.values():
            self._cancel(op)

    # -- exchanging

    def _schedule(self) -> None:
        self._scheduled = True
        self.loop.at_tick_end(self._on_tick_end)

    def _on_tick_end(self) -> None:
        self._scheduled = False
        self.exchange(rung=False)

    def _on_doorbell(self) -> None:
        self.exchange(rung=True)

    def exchange(self, *, rung: bool) -> None:
        """Submit what depth allows and reap what is complete, up to the port's reap limit."""
        if self._retired:
            return
        port, in_flight = self._port, self._in_flight
        completions = port.exchange(self._next_batch(), rung=rung)
        for token, result in completions:
            op = in_flight.pop(token, None)
            if op is None:
                del self._cancels_in_flight[token]
            else:
                self._complete(op, result)
        more = len(completions) == port.reap_limit
        if (more or self._could_submit()) and not self._scheduled:
            # Otherwise the next completion rings the doorbell, and we come here again.
            self._schedule()
        self._retire_if_quiet()

    def _room(self) -> int:
        return self._depth - len(self._in_flight)

    def _could_submit(self) -> bool:
        if self._backlog and self._room() > 0:
            return True
        return bool(self._cancels) and len(self._cancels_in_flight) < self._depth

    def _next_batch(self) -> list[Op]:
        """Take from the backlog what there is room for, and put it in flight."""
        backlog, in_flight, base = self._backlog, self._in_flight, self._port.token_base
        room = self._room()
        if len(backlog) <= room:
            batch = list(backlog)
            backlog.clear()
        else:
            batch = [backlog.popleft() for _ in range(room)]
        for op in batch:
            op.token = token = base | next(_activations)
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
                op.token = token = self._port.token_base | next(_activations)
                self._cancels_in_flight[token] = op
                cancels.append(op)
        return cancels

    def _complete(self, op: Op, result: int) -> None:
        if op.waiter is not None:
            self.loop.resume(op, result)
        self._settle(op, result)

    def _settle(self, op: Op, result: int) -> None:
        op.result = result
        op.pin = None  # whoever keeps the op, as an exception's traceback does, not the buffer
        account = op.account
        account.ops -= 1
        if account.ops == 0 and account.on_quiet is not None:
            on_quiet, account.on_quiet = account.on_quiet, None
            on_quiet()

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


def _never_cancelled(_op: Op) -> bool:
    return False
