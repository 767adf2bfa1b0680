"""Waiting until nobody uses a descriptor, so that it can be closed."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from ._account import Gate
from ._runtime import call_in_loop, see_to_closed_loops, when_all_quiet

if TYPE_CHECKING:
    from ._account import Account
    from ._proactor import Proactor
    from ._runtime import LeasedDriver

__all__ = ["all_quiet", "close_when_quiet"]


async def all_quiet(accounts: list[Account], proactor: Proactor) -> None:
    """Wait, in `proactor`'s loop, until no op of `accounts` is under way in any loop."""
    # In another loop's thread an op may just be starting: only that thread can tell.
    busy = [a for a in accounts if a.ops > 0 or a.proactor is not proactor]
    if not busy:
        return

    def cancel_what_is_left() -> None:
        for account in busy:
            call_in_loop(account.proactor, account.cancel_all)

    gate = Gate(proactor, cancel_what_is_left)
    when_all_quiet(busy, partial(call_in_loop, proactor, gate.open))
    see_to_closed_loops(proactor, busy)
    await gate.wait()


def close_when_quiet(fd: int, accounts: list[Account], leased: LeasedDriver) -> None:
    """Close the descriptor of a file that nobody can close any more."""
    fds = [fd]

    def close() -> None:
        if fds:  # it may be told again
            fd = fds[0]
            del fds[0]
            os.close(fd)
            leased.release_later()

    when_all_quiet(accounts, close)
