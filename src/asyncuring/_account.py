"""Who asks a proactor for ops, and is told when they are done. Knows no loop and no driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ._errors import CANCELLED, is_cancelled
from ._io_class import DEFAULT, current_class
from ._op import Bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ._op import Waiter
    from ._proactor import Proactor

__all__ = ["Account", "Gate", "JointAccount", "Uncancellable"]


class Account:
    """How many ops some owner (a file) has with one proactor.

    name: the owner's path; empty if there is none.

    It counts completions, not awaits: a task may be destroyed while its op is in flight.
    """

    __slots__ = ("name", "new_waiter", "on_quiet", "ops", "proactor", "read_cached", "write_ways")
    cancellable = True

    write_ways: Iterator[int]
    """Gives the way of each next write (`_routes`). Set by a file, which alone has writes."""

    def __init__(self, proactor: Proactor, name: str | bytes = "") -> None:
        """Open an account with `proactor`."""
        self.proactor = proactor
        self.name = name
        self.new_waiter, self.read_cached = proactor.loop.new_waiter, proactor.read_cached
        self.ops = 0
        self.on_quiet: Callable[[], object] | None = None

    def perform(  # noqa: PLR0913, PLR0917  what an op is made of
        self,
        waiter: Waiter,
        opcode: int,
        fd: int,
        pin: Any = None,
        length: int = 0,
        argument: int = 0,
        /,
    ) -> None:
        """Take an op on (see `Op`).

        waiter: a new one, which its task awaits, at once, to get the result. If the call or that
            await raises, the op may be under way: the task awaits `interrupted` then.
        """
        proactor = self.proactor
        if not proactor.scheduled:
            proactor.schedule()  # first, for it notes the time
        flow = proactor.flows[current_class()]
        # With no call in between, at which KeyboardInterrupt may come: one without the other
        # would be an op that never ends.
        flow.backlog[waiter] = (waiter, self, pin, opcode, fd, length, argument, flow, flow.origin)
        self.ops += 1

    async def complete(
        self, opcode: int, fd: int, pin: Any = None, length: int = 0, argument: int = 0
    ) -> int:
        """Perform an op (see `perform`), and wait for its result."""
        waiter = self.new_waiter()
        try:
            self.perform(waiter, opcode, fd, pin, length, argument)
            del pin
            result: int = await waiter
        except BaseException as interruption:  # noqa: BLE001  raised there
            result = await self.interrupted(waiter, interruption)
        return result

    async def perform_all(
        self, opcode: int, fd: int, buffers: Sequence[tuple[Any, int]]
    ) -> list[int]:
        """Perform one op for each (pin, offset), and wait for all; returns their results."""
        if not buffers:
            return []
        waiter = self.new_waiter()
        bundle = Bundle(waiter, len(buffers))
        proactor = self.proactor
        if not proactor.scheduled:
            proactor.schedule()  # first, for it notes the time
        flow = proactor.flows[current_class()]
        ops = {
            (bundle, index): (
                *((bundle, index), self, pin, opcode),
                *(fd, len(pin), offset, flow, flow.origin),
            )
            for index, (pin, offset) in enumerate(buffers)
        }
        del buffers
        try:
            proactor.take_on(bundle, flow, ops)
            del ops
            await waiter
        except BaseException as interruption:  # noqa: BLE001  raised there
            await self.interrupted(waiter, interruption)
        return cast("list[int]", bundle.results)  # all are done

    async def interrupted(self, waiter: Waiter, interruption: BaseException) -> int:
        """Hold `interruption`, which the await of `waiter` raised, back until the op is done.

        The kernel is asked to cancel an op that it has; one in the backlog ends at once. Where
        the loop keeps the result, an op that finished all the same gives its own; otherwise the
        interruption is raised. A task that is being destroyed cannot wait: then the proactor keeps
        the op, and so the buffer, until the completion.
        """
        try:
            if isinstance(interruption, GeneratorExit):
                self.proactor.cancel(waiter)
                raise interruption
            value = await self.ended(waiter)
            if self.proactor.loop.keeps_result(interruption) and not is_cancelled(value):
                return value
            raise interruption
        finally:
            del interruption  # its traceback names this frame, and with it the task's

    async def ended(self, waiter: Waiter) -> int:
        """Cancel an op, and wait for its end; its result, CANCELLED if the loop cannot tell."""
        value = self.proactor.cancel(waiter)
        return await self.proactor.hold(waiter) if value is None else value

    def counts_in(self, account: object) -> bool:
        """Return whether `account` is not quiet while an op of this one is under way."""
        return account is self

    def cancel_all(self) -> None:
        """Ask for the cancellation of every op that counts here; whoever awaits one sees that."""
        self.proactor.cancel_account(self)

    def when_quiet(self, callback: Callable[[], object]) -> None:
        """Call `callback` once, as soon as no op is under way: now or at a completion."""
        if self.ops == 0:
            callback()
            return
        others = self.on_quiet

        def on_quiet() -> None:
            if others is not None:
                others()
            callback()

        self.on_quiet = on_quiet

    def settle(self, value: int) -> None:  # noqa: ARG002  for those who look at it
        """After an op of this account is done, with `value`: tell who waits for quiet."""
        if self.ops == 0 and self.on_quiet is not None:
            on_quiet, self.on_quiet = self.on_quiet, None
            try:
                on_quiet()
            except BaseException:  # KeyboardInterrupt: whoever settles it again, tells them again
                self.on_quiet = on_quiet
                raise


class Uncancellable(Account):
    """An account for ops that no cancellation may stop (closing an fd)."""

    __slots__ = ()
    cancellable = False

    async def complete(
        self, opcode: int, fd: int, pin: Any = None, length: int = 0, argument: int = 0
    ) -> int:
        """Likewise, in no class: what cannot be cancelled must not wait for a limit."""
        with DEFAULT:
            return await super().complete(opcode, fd, pin, length, argument)


class JointAccount(Account):
    """The account of a single op, which keeps other accounts from being quiet until it is done.

    others: one or two.
    """

    __slots__ = ("_first", "_is_counted", "_last")

    def __init__(self, proactor: Proactor, others: Sequence[Account]) -> None:
        """Count in `others` when the op is performed."""
        super().__init__(proactor, others[0].name)
        self._first, self._last = others[0], others[-1]
        self._is_counted = False
        self.on_quiet = lambda: None  # have `settle` called

    def perform(self, waiter: Waiter, /, *op: Any) -> None:
        """See `Account.perform`."""
        # In one step, without a call in between. One other counts twice.
        self._is_counted = True
        self._first.ops += 1
        self._last.ops += 1
        try:
            super().perform(waiter, *op)
        except BaseException:  # KeyboardInterrupt
            if self.ops == 0:
                self.settle(CANCELLED)
            raise

    def counts_in(self, account: object) -> bool:
        """See `Account.counts_in`; in the others, too."""
        return account is self or self._first.counts_in(account) or self._last.counts_in(account)

    def settle(self, value: int) -> None:
        """See `Account.settle`; the others first, so that an interruption has it done again."""
        if self._is_counted:
            self._is_counted = False  # in one step, as above
            self._first.ops -= 1
            self._last.ops -= 1
        self._first.settle(value)
        self._last.settle(value)
        super().settle(value)


class Gate:
    """One task waits here until somebody opens it, in the same loop's thread.

    on_cancel: called if the waiting task is cancelled; that is raised when the gate opens.
    """

    __slots__ = ("_is_open", "_loop", "_on_cancel", "_waiter")

    def __init__(self, proactor: Proactor, on_cancel: Callable[[], object]) -> None:
        """Make a closed gate."""
        self._loop = proactor.loop
        self._on_cancel = on_cancel
        self._is_open = False
        self._waiter: Waiter = None

    def open(self) -> None:
        """Let the waiting task, or the one that is going to wait, pass. Not from within a task."""
        self._is_open = True
        if self._waiter is not None:
            self._loop.resume(self._waiter, 0)

    async def wait(self) -> None:
        """Wait until the gate is open."""
        if self._is_open:
            return
        self._waiter = self._loop.new_waiter()
        try:
            await self._waiter
        except BaseException:
            self._on_cancel()
            if not self._is_open:
                self._waiter = self._loop.new_firm_waiter()
                await self._waiter
            raise
