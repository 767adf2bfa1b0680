"""An attempt to lock a file, which gives the lock back if nobody will hear of it.

Knows no event loop, no driver and no C.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._account import JointAccount
from ._io_class import DEFAULT

if TYPE_CHECKING:
    from ._account import Account
    from ._op import Waiter

__all__ = ["LockAttempt"]


class _Unlocking(JointAccount):
    """The account of what gives a lock back, cancelled or not."""

    __slots__ = ()
    cancellable = False


class LockAttempt(JointAccount):
    """The account of one LOCK, and of the unlocking if it comes to that.

    lock, unlock: opcode and pin of the two calls.
    """

    __slots__ = ("_account", "_fd", "_lock", "_unlock", "_unlocking", "_unwanted", "_value")

    def __init__(
        self,
        account: Account,
        fd: int,
        lock: tuple[int, object],
        unlock: tuple[int, object],
    ) -> None:
        """Count in `account`, the file's."""
        super().__init__(account.proactor, [account])
        self._account = account
        self._fd = fd
        self._lock, self._unlock = lock, unlock
        self._unwanted = False
        self._unlocking: tuple[_Unlocking, Waiter] | None = None
        self._value = -1

    async def result(self) -> int:
        """Try; returns 0, or a negative errno."""
        opcode, pin = self._lock
        waiter = self.new_waiter()
        try:
            self.perform(waiter, opcode, self._fd, pin)
            value: int = await waiter
        except BaseException as interruption:
            self._unwanted = True
            self._give_back()
            if isinstance(interruption, GeneratorExit):  # nobody can wait
                self.proactor.cancel(waiter)
                raise
            # Where resuming a task runs it, that is before the account is told.
            self._value = max(self._value, await self.ended(waiter))
            self._give_back()
            if self._unlocking is not None:
                unlocking, waiter = self._unlocking
                await unlocking.ended(waiter)
            raise
        return value

    def settle(self, value: int) -> None:
        """See `Account.settle`; gives the lock back, if it is held by now and unwanted."""
        self._value = value
        self._give_back()  # before the file may be closed
        super().settle(value)

    def _give_back(self) -> None:
        if self._unlocking is not None or self.proactor.loop.is_closed():
            return  # in a loop that is closed nobody performs anything; the lock ends with the file
        if self._unwanted and self._value == 0:
            account = _Unlocking(self.proactor, [self._account])
            opcode, pin = self._unlock
            self._unlocking = account, account.new_waiter()
            with DEFAULT:  # what cannot be cancelled must not wait for a limit of its class
                account.perform(self._unlocking[1], opcode, self._fd, pin)
