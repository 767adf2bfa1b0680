"""What is open, whatever is done with it: a descriptor, its lease and its end.

Knows no event loop, no driver and no C.
"""

from __future__ import annotations

import errno
import os
import threading
import warnings
from typing import TYPE_CHECKING, Any, Literal

from ._account import Account, Uncancellable
from ._closing import all_quiet, close_when_quiet
from ._errors import CANCELLED, ClosedFileError, alignment_detail, os_error
from ._inline import InlineReads
from ._op import Opcode
from ._runtime import quick_loop_key, running_loop_key
from ._sides import FileSides

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from typing_extensions import Self

    from ._barrier import Behind
    from ._runtime import LeasedDriver

__all__ = ["CachedReads", "FileHandle"]

CachedReads = Literal["auto", "inline", "ring"]


class FileHandle:
    """An open file, before anything can be done with it but to close it."""

    def __init__(self, name: str | bytes, *, direct: bool, cached_reads: CachedReads) -> None:
        """Use `open_file`."""
        self._name = name
        self._direct = direct
        # With O_DIRECT, RWF_NOWAIT blocked the caller all the same (measured).
        self._inline_reads = None if direct or cached_reads == "ring" else InlineReads()
        self._inline_always = cached_reads == "inline"
        self._fd = -1
        self._has_complained = False
        self._leased: LeasedDriver | None = None
        self._pin: Callable[[Any, bool], Any]
        # One account for each loop that has used the file, and one for its writes and syncs. Empty
        # before opening and after closing, so that finding one is all that an operation has to
        # check. Behind a barrier the second is `_behind` until it opens.
        self._accounts: dict[Hashable, Account] = {}
        self._ordered: dict[Hashable, Account] = {}
        self._behind: dict[Hashable, Behind] = {}

    def opened(self, fd: int, leased: LeasedDriver) -> None:
        """Take over the descriptor and the lease (`open_file` calls this).

        Raises:
            OSError: the file system does not say what the file is; nothing was taken over.
        """
        self._sides = FileSides(fd, self._direct, leased)
        self._fd = fd
        self._leased = leased
        self._pin = leased.pin
        self._describe, self._vectors = leased.driver.call, leased.driver.vectors

    # -- what it is

    @property
    def name(self) -> str | bytes:
        """The path, as it was given to `open_file`."""
        return self._name

    @property
    def closed(self) -> bool:
        """Whether the file is closed, or being closed."""
        return self._leased is None

    def fileno(self) -> int:
        """Return the file descriptor.

        Raises:
            ClosedFileError: the file is closed.
        """
        if self._leased is None:
            raise self._closed_error()
        return self._fd

    def __repr__(self) -> str:
        """Name, descriptor and driver."""
        if self._leased is None:
            return f"<asyncuring.UringFile {self._name!r}, closed>"
        return f"<asyncuring.UringFile {self._name!r}, fd {self._fd}, {self._leased.name}>"

    # -- closing

    async def aclose(self) -> None:
        """Close the file, once the operations on it that are under way are done.

        New operations are refused from the call on. If `aclose` is itself cancelled, it asks the
        kernel to cancel what is under way (those operations then raise `ClosedFileError`), closes
        the file all the same, and then is cancelled. Closing a closed file does nothing.

        Whoever forgets to close a file gets a `ResourceWarning` when it is destroyed, or when the
        interpreter ends; not then, if a daemon thread's loop still has it.

        Raises:
            OSError: what close(2) says (EIO, ENOSPC, EDQUOT on network file systems); the file is
                closed then, too.
        """
        leased = self._leased
        if leased is None:
            return
        if leased.forked:  # the child's copy of the descriptor, and nothing else, is ours
            self._leased = None
            os.close(self._fd)
            return
        proactor = leased.proactor()
        self._leased = None
        accounts = self._all_accounts()
        self.forget_loops()
        proactor.see_to_it()
        try:
            await all_quiet(accounts, proactor)
        finally:
            try:
                account = Uncancellable(proactor, self._name)
                result = await account.complete(Opcode.CLOSE, self._fd)
            finally:
                leased.release()
        if result < 0:
            raise os_error(result, self._name)

    async def __aenter__(self) -> Self:
        """Nothing: the file is open."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close the file."""
        await self.aclose()

    def __del__(self) -> None:
        """Complain, and close what was forgotten as soon as the kernel is done with it."""
        leased, self._leased = self._leased, None
        if leased is None:
            return
        if leased.forked:
            os.close(self._fd)
            return
        try:
            self._complain()
        finally:  # the warning may be an error
            close_when_quiet(self._fd, [a for a in self._all_accounts() if a.ops > 0], leased)

    def complain_at_exit(self) -> None:
        """Complain if nobody has closed it, unless a thread that runs on still uses it.

        Here, for the interpreter may not destroy it: a uvloop that is not closed keeps its tasks.
        """
        here = threading.current_thread()
        threads = {account.proactor.thread for account in self._all_accounts()}
        if self._leased is not None and not any(t.is_alive() for t in threads - {here}):
            self._complain()

    def _complain(self) -> None:
        if not self._has_complained:
            self._has_complained = True
            text = f"unclosed file {self._name!r}, fd {self._fd}"
            warnings.warn(text, ResourceWarning, source=self, stacklevel=1)

    # -- the slow paths

    def forget_loops(self) -> None:
        """Look up the proactor anew at the next operation (the process was forked)."""
        self._accounts = {}
        self._ordered = {}
        self._behind = {}

    def _all_accounts(self) -> list[Account]:
        behind = [account for last in self._behind.values() for account in last.up_to_here()]
        return [*self._accounts.values(), *self._ordered.values(), *behind]

    def _account(self) -> Account:
        """Return the account with the running loop's proactor, opened at the first operation."""
        key = running_loop_key()
        return self._accounts.get(key) or self._open_account(self._accounts, key)

    def _ordered_account(self) -> Account | None:
        """Return the one for writes and syncs; None: behind a barrier, `_account_behind`."""
        key = running_loop_key()
        account = self._ordered.get(key)
        if account is None and key not in self._behind:
            account = self._open_account(self._ordered, key)
        return account

    def _open_account(self, accounts: dict[Hashable, Account], key: Hashable) -> Account:
        if self._leased is None:
            raise self._closed_error()
        account = Account(self._leased.proactor(), self._name)
        account.write_ways = self._sides.write_ways(account.proactor)
        # A loop that was closed meanwhile does not come back.
        for other, old in list(accounts.items()):
            if old.ops == 0 and old.proactor.loop.is_closed():
                accounts.pop(other, None)
        accounts[key] = account
        return account

    async def _account_for_change(self) -> Account:
        """Return the one for writes and syncs, when the barriers before this call are over."""
        account = self._ordered.get(quick_loop_key()) or self._ordered_account()
        return await self._account_behind() if account is None else account

    async def _account_behind(self) -> Account:
        """Return the one for writes and syncs when the barriers before this call are over."""
        behind = self._behind[running_loop_key()]
        if not await behind.wait_with_op():
            raise self._closed_error()
        return behind

    def _closed_error(self) -> ClosedFileError:
        return ClosedFileError(f"the file {self._name!r} is closed")

    def _error(self, result: int, length: int = 0, off: int = 0, detail: str = "") -> Exception:
        if result == CANCELLED and self._leased is None:
            return self._closed_error()
        if not detail and result == -errno.EINVAL and self._direct and self._leased is not None:
            detail = alignment_detail(self._leased.direct_alignment(self._fd), length, off)
        if not detail and length:
            detail = f"{length} bytes at offset {off}"
        return os_error(result, self._name, detail)
