"""`replace_file`: the old content or the new, whatever happens meanwhile.

Knows no event loop, no driver and no C. All of it starts from a descriptor of the directory, so
that neither a chdir nor a renamed directory leads elsewhere half way.
"""

from __future__ import annotations

import errno
import os
import secrets
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from ._account import Account
from ._arguments import byte_view, checked_path, checked_permissions
from ._errors import os_error, written_no_more
from ._op import CallArguments, Opcode
from ._opening import DIRECTORY_FLAGS, Opening
from ._runtime import lease, note_opened

if TYPE_CHECKING:
    from typing import Any

    if sys.version_info >= (3, 12):
        from collections.abc import Buffer
    else:
        from typing_extensions import Buffer

    from ._arguments import AnyPath
    from ._runtime import DriverChoice, LeasedDriver

__all__ = ["replace_file"]

_PREFIX = ".asyncuring-"
_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


async def replace_file(
    path: AnyPath,
    data: Buffer,
    *,
    permissions: int = 0o666,
    driver: DriverChoice | None = None,
) -> None:
    """Give a file new content, atomically and durably, or create it.

    A temporary file in the same directory gets all of `data` and is made durable (fdatasync(2));
    it is renamed over `path` (rename(2)); the directory is made durable (fsync(2)). Whoever opens
    `path` finds the old content or the new one, at any moment and after a crash at any moment, and
    after this call has returned, the new one. A reader that has the old file open keeps it.

    An error, or a cancellation, leaves the old content or the new one, and no temporary file; only
    after an error of the last step, the directory's fsync, the new content is there and may not be
    durable. A crash (the machine's, or SIGKILL) may leave the temporary file, under a name that
    begins with ".asyncuring-": it is nobody's, and may be removed once no process is at it.

    Args:
        path: str, bytes or os.PathLike. A symbolic link is replaced itself. The directory must be
            readable.
        data: any C-contiguous buffer. Do not change it meanwhile.
        permissions: of the new file, less the process's umask. Neither these nor the owner are
            taken over from the old one; its other names (link(2)) keep the old content.
        driver: as for `open_file`. A driver that nothing else needs runs for this call alone.

    Raises:
        OSError: the kernel's answer, with errno and path: ENOENT, ENOTDIR, EACCES (no such
            directory, or it may not be read or written), EISDIR, ENOSPC, EDQUOT, EIO, … Where even
            the temporary file could not be removed, that error, with the temporary file's path.
        DriverUnavailableError: the driver asked for by name cannot run here.
        TypeError, BufferError, ValueError: an argument cannot be used; nothing was written.
        RuntimeError: no asyncio or trio task is running.
    """
    name, encoded = checked_path(path)
    permissions = checked_permissions(permissions)
    directory, last = os.path.split(encoded)
    if last == b"\0":
        raise os_error(-errno.EISDIR if directory else -errno.ENOENT, name)
    with byte_view(data) as view:
        sys.audit("open", name, "w+", _FILE_FLAGS)
        leased = lease(driver)
        try:
            await _Replacing(leased, name).run((directory or b".") + b"\0", last, view, permissions)
        finally:
            leased.release()


class _Replacing(Account):
    """The account of one replacement: what it has made so far, and how to be rid of that.

    One op at a time is under way. What it leaves is known also if the task is gone by then.
    """

    __slots__ = (
        "_driver", "_fds", "_name", "_opening", "_removal", "_temporary", "_temporary_exists",
        "cancellable",
    )  # fmt: skip

    def __init__(self, leased: LeasedDriver, name: str | bytes) -> None:
        """Prepare to replace the file that the caller calls `name`."""
        super().__init__(leased.proactor())
        self.cancellable = True
        self._driver = leased.driver
        self._name = name
        self._fds: list[int] = []  # the directory's first
        self._opening: Opening | None = None  # under way
        self._temporary = _PREFIX.encode() + secrets.token_hex(8).encode() + b"\0"
        self._temporary_exists = False
        self._removal = self._driver.call(Opcode.UNLINK, CallArguments(self._temporary))

    async def run(self, directory: bytes, last: bytes, view: memoryview, permissions: int) -> None:
        """Do it, or undo it."""
        try:
            try:
                await self._replace(directory, last, view, permissions)
            except GeneratorExit:
                raise
            except BaseException:
                await self._clear()
                raise
            await self._clear()
        except GeneratorExit:  # the task is being destroyed: nothing can be awaited any more
            (self._opening or self).when_quiet(self._clear_at_once)
            raise

    async def _replace(
        self, directory: bytes, last: bytes, view: memoryview, permissions: int
    ) -> None:
        directory_fd = await self._open(-1, directory, DIRECTORY_FLAGS, 0)
        fd = await self._open(directory_fd, self._temporary, _FILE_FLAGS, permissions)
        await self._write_all(fd, view)
        await self._do(Opcode.FDATASYNC, fd)
        await self._close(fd)
        names = CallArguments(self._temporary, last, second_fd=directory_fd)
        call = self._driver.call(Opcode.RENAME, names)
        await self._do(call.opcode, directory_fd, call.pin)
        self._temporary_exists = False
        await self._do(Opcode.FSYNC, directory_fd)

    async def _open(self, directory_fd: int, path: bytes, flags: int, permissions: int) -> int:
        arguments = CallArguments(path, flags=flags, mode=permissions)
        call = self._driver.call(Opcode.OPEN, arguments)
        opening = self._opening = Opening(self.proactor, path)
        waiter = opening.new_waiter()
        try:
            opening.perform(waiter, call.opcode, directory_fd, call.pin)
            result: int = await waiter
        except GeneratorExit:
            raise
        except BaseException:
            # It may have opened the file all the same, and then there is more to clear up. Where a
            # further cancellation keeps the result from coming here, the account has it by then.
            opening.value = max(await opening.ended(waiter), opening.value)
            raise
        self._opened(result)
        if result < 0:
            raise os_error(result, self._name)
        return result

    def _opened(self, result: int) -> None:
        self._opening = None
        if result >= 0:
            note_opened(result, self._driver)
            self._fds.append(result)
            self._temporary_exists = len(self._fds) == len(("directory", "file"))

    def _look_what_was_opened(self) -> None:
        if self._opening is not None:
            self._opened(self._opening.value)

    async def _close(self, fd: int) -> None:
        self._fds.remove(fd)
        self.cancellable = False
        await self._do(Opcode.CLOSE, fd)
        self.cancellable = True

    async def _write_all(self, fd: int, view: memoryview) -> None:
        count = 0
        while count < len(view):
            left = len(view) - count
            # The pin is no variable here, for a traceback may keep the frame.
            pin = self._driver.pin
            got = await self._do(Opcode.WRITE, fd, pin(view[count:], False), left, count)
            count += got
            if got == 0:
                raise written_no_more(self._name, count, len(view))

    async def _do(
        self, opcode: int, fd: int, pin: Any = None, length: int = 0, argument: int = 0
    ) -> int:
        completing = self.complete(opcode, fd, pin, length, argument)
        del pin
        result = await completing
        if result < 0:
            raise os_error(result, self._name)
        return result

    # -- what is left

    async def _clear(self) -> None:
        """Remove the temporary file if it is there, and close what is open, come what may."""
        self._look_what_was_opened()
        self.cancellable = False
        result = 0
        interruption = None
        while self._fds:
            try:
                if self._temporary_exists:
                    self._temporary_exists = False
                    removal = self._removal
                    result = await self.complete(removal.opcode, self._fds[0], removal.pin)
                else:
                    # Its result tells nothing: a file that counts was closed before.
                    await self.complete(Opcode.CLOSE, self._fds.pop())
            except GeneratorExit:  # noqa: PERF203  three times at most
                raise
            except BaseException as error:  # noqa: BLE001  raised below
                interruption = error
        try:
            if interruption is not None:
                raise interruption
        finally:
            del interruption  # its traceback names this frame
        if result < 0 and result != -errno.ENOENT:  # it was renamed
            name = os.fsencode(self._name)
            raise os_error(result, os.path.split(name)[0] + b"/" + self._temporary[:-1])

    def _clear_at_once(self) -> None:
        """Do what `_clear` does, in this thread: no task is left that could wait."""
        self._look_what_was_opened()
        if self._temporary_exists:
            with suppress(OSError):  # it was renamed; or nobody can be told
                os.unlink(self._temporary[:-1], dir_fd=self._fds[0])
        for fd in self._fds:
            os.close(fd)
