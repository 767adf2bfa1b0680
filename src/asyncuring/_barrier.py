"""What is asked for behind a barrier, and waits there. Knows no event loop, no driver and no C.

A file has one account per loop for its writes and syncs. A barrier sets a new one behind it, which
opens when the old one is quiet; what is asked for meanwhile waits for that before it becomes an op.
So neither an op nor the proactor knows of barriers, and without one there is nothing to look at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._account import Account
from ._errors import CANCELLED
from ._runtime import call_in_loop

if TYPE_CHECKING:
    from collections.abc import Hashable

    from ._op import Waiter

__all__ = ["Behind", "set_barrier"]


class Behind(Account):
    """The account of what is asked for behind a barrier.

    Its ops include the tasks that wait for the opening, and those that were let through and may not
    have asked for their op yet: so it is quiet when all that was asked for is done.

    open_accounts, closed_accounts: where the file has the accounts that are open, and the last
        one that is not, by loop.

    Attributes:
        before: the account that it waits for; None when it is open.
    """

    __slots__ = (
        "_closed_accounts",
        "_key",
        "_open_accounts",
        "_passed",
        "_waiting",
        "_will_count",
        "before",
    )

    def __init__(
        self,
        before: Account,
        key: Hashable,
        open_accounts: dict[Hashable, Account],
        closed_accounts: dict[Hashable, Behind],
    ) -> None:
        """Open when `before`, which has ops under way, is quiet."""
        super().__init__(before.proactor, before.name)
        self.write_ways = before.write_ways
        self.before: Account | None = before
        self._key = key
        self._open_accounts = open_accounts
        self._closed_accounts = closed_accounts
        self._waiting: list[Waiter] = []
        self._passed = 0
        self._will_count = False
        # Perhaps from within a task, where no other can be resumed: so not at once.
        before.when_quiet(lambda: call_in_loop(self.proactor, self._open))

    async def wait(self) -> bool:
        """Wait for the opening; False if the file was closed instead."""
        waiter = self.new_waiter()
        self._waiting.append(waiter)
        value: int = await waiter
        return value == 0

    async def wait_with_op(self) -> bool:
        """Likewise; the caller is going to ask for an op at once, or for none."""
        self.ops += 1
        try:
            return await self.wait()
        finally:
            # A call may be interrupted (KeyboardInterrupt), and this must be done all the same.
            self._passed += 1
            try:
                self._count_soon()
            except BaseException:
                self._count_soon()
                raise

    def cancel_all(self) -> None:
        """See `Account.cancel_all`."""
        super().cancel_all()
        self._resume(CANCELLED)

    def up_to_here(self) -> list[Account]:
        """Return all accounts before this one that may not be quiet, and this one, in order."""
        earlier = self.before.up_to_here() if isinstance(self.before, Behind) else [self.before]
        return [*(account for account in earlier if account is not None), self]

    def _open(self) -> None:
        self.before = None
        if self._closed_accounts.get(self._key) is self:  # no other barrier was set behind it
            del self._closed_accounts[self._key]
            self._open_accounts[self._key] = self
        if self.proactor.loop.is_closed():
            self.ops = 0  # those that waited are gone
            self.settle(0)
        else:
            self._resume(0)

    def _resume(self, value: int) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            self.proactor.loop.resume(waiter, value)

    def _count_soon(self) -> None:
        """Stop counting tasks that waited, when they have had the time to ask for their ops."""
        if self._will_count or self.proactor.loop.is_closed():
            return
        call_in_loop(self.proactor, self._count_passed)
        self._will_count = True

    def _count_passed(self) -> None:
        self._will_count = False
        self.ops -= self._passed
        self._passed = 0
        self.settle(0)


def set_barrier(
    key: Hashable, open_accounts: dict[Hashable, Account], closed_accounts: dict[Hashable, Behind]
) -> Behind | None:
    """Set a barrier behind all that the loop `key` has asked for; None if all of it is done."""
    last = closed_accounts.get(key)
    if last is not None and last.ops == 0:
        return last  # nothing was asked for since: one barrier does for both
    before = last or open_accounts.get(key)
    if before is None or before.ops == 0:
        return None
    behind = closed_accounts[key] = Behind(before, key, open_accounts, closed_accounts)
    open_accounts.pop(key, None)
    return behind
