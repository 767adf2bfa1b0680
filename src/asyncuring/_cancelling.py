"""How ops of a proactor end before their time: in the backlog at once, in flight by a cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._errors import CANCELLED
from ._op import bundle_of

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from ._flows import Flows
    from ._loops import Loop
    from ._op import Bundle, Op, Waiter

__all__ = ["Cancelling"]


class Cancelling:
    """This part of a `Proactor`."""

    __slots__ = ()
    _bundles: dict[Waiter, Bundle]
    _cancels: deque[int]
    _in_flight: dict[int, Op]
    flows: Flows
    loop: Loop

    def see_to_it(self) -> None:
        """See `Proactor.see_to_it`."""
        raise NotImplementedError

    def _collect(
        self, place: tuple[Bundle, int], value: int, resume: Callable[[Waiter, int], None]
    ) -> None:
        """See there, too."""
        raise NotImplementedError

    def withdraw(self, waiter: Waiter) -> bool:
        """End an op that is in the backlog and may be cancelled; False if there is none.

        Of a bundle, end all ops that are; False if some are not.
        """
        bundle = self._bundles.get(waiter)
        if bundle is not None:
            for place in [op[0] for op in self.flows.ops() if bundle_of(op) is bundle]:
                self.withdraw(place)
                self._collect(place, CANCELLED, self.loop.resume)
            return bundle.left == 0
        op = self.flows.find(waiter)
        if op is None or not op[1].cancellable:
            return False
        del op[7].backlog[waiter]
        account = op[1]
        account.ops -= 1
        account.settle(CANCELLED)
        return True

    def cancel(self, waiter: Waiter) -> int | None:
        """Cancel an op or a bundle; its result, if it is known by now, else None: wait for it."""
        if self.withdraw(waiter):
            self.see_to_it()
            return CANCELLED
        bundle = self._bundles.get(waiter)
        tokens = [
            token
            for token, op in self._in_flight.items()
            if op[0] is waiter or (bundle is not None and bundle_of(op) is bundle)
        ]
        for token in tokens:
            if self._in_flight[token][1].cancellable:
                self._ask_for_cancel(token)
        return None if tokens or self.flows.find(waiter) else self.loop.result(waiter)

    def _ask_for_cancel(self, token: int) -> None:
        self._cancels.append(token)
        self.see_to_it()

    async def hold(self, waiter: Waiter) -> int:
        """Wait for the op of `waiter`, which is not done, whoever may cancel the task meanwhile."""
        firm = self.loop.new_firm_waiter()
        bundle = self._bundles.pop(waiter, None)
        waiting = self.flows.find(waiter)
        if bundle is not None:
            bundle.waiter = firm
            self._bundles[firm] = bundle
        elif waiting is not None:
            # Its place in the order is lost, which hurts nobody: this is a file that is closed.
            del waiting[7].backlog[waiter]
            waiting[7].backlog[firm] = (firm, *waiting[1:])
        else:
            token = next(token for token, op in self._in_flight.items() if op[0] is waiter)
            self._in_flight[token] = (firm, *self._in_flight[token][1:])
        value: int = await firm
        return value

    def cancel_account(self, account: object) -> None:
        """See `Account.cancel_all`."""
        for token, op in self._in_flight.items():
            if op[1].cancellable and op[1].counts_in(account):
                self._ask_for_cancel(token)
        for waiter in [op[0] for op in self.flows.ops() if op[1].counts_in(account)]:
            # A task that was resumed for the op before may have cancelled this one.
            if self.withdraw(waiter):
                if type(waiter) is tuple:
                    self._collect(waiter, CANCELLED, self.loop.resume)
                else:
                    self.loop.resume(waiter, CANCELLED)
