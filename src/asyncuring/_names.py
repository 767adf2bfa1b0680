"""Names in directories: made, moved and removed. Knows no event loop, no driver and no C.

Each call leases a driver for as long as it takes. What the kernel does is what the system call of
that name does; io_uring has opcodes of its own for these from Linux 5.11 (UNLINKAT, RENAMEAT) and
5.15 (MKDIRAT, LINKAT, SYMLINKAT) on, and native threads make the call where it has none.
"""

from __future__ import annotations

import errno
import sys
from typing import TYPE_CHECKING

from ._account import Account
from ._arguments import checked_path, checked_permissions
from ._errors import os_error
from ._op import CallArguments, Opcode
from ._opening import open_directory
from ._runtime import lease

if TYPE_CHECKING:
    from ._arguments import AnyPath
    from ._runtime import DriverChoice

__all__ = ["link", "mkdir", "rename", "rmdir", "symlink", "sync_directory", "unlink"]

# linux/fs.h, fcntl.h
_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2
_AT_REMOVEDIR = 0x200


async def unlink(path: AnyPath, *, driver: DriverChoice | None = None) -> None:
    """Remove a name (unlink(2)); with the last one of a file goes the file.

    A file that is open stays readable and writable until it is closed. The removal is durable after
    `sync_directory` of the directory that held the name. If the call is cancelled, the name may be
    gone all the same (asyncio), or the call ends well (trio).

    Args:
        path: the name: str, bytes or os.PathLike. A symbolic link is removed itself.
        driver: as for `open_file`. A driver that nothing else needs runs for this call alone.

    Raises:
        OSError: the kernel's answer, with errno and path: ENOENT, EISDIR (for a directory there is
            `rmdir`), ENOTDIR, EACCES, EPERM, EBUSY, ENAMETOOLONG, …
        DriverUnavailableError: the driver asked for by name cannot run here.
        TypeError, ValueError: an argument cannot be used: there is no such driver, or the path
            holds a NUL byte; nothing was done.
        RuntimeError: no asyncio or trio task is running.
    """
    name, encoded = checked_path(path)
    sys.audit("os.remove", name, -1)
    result = await _change(driver, Opcode.UNLINK, encoded)
    if result < 0:
        raise os_error(result, name)


async def rmdir(path: AnyPath, *, driver: DriverChoice | None = None) -> None:
    """Remove an empty directory (rmdir(2)).

    Durability, cancellation, arguments and errors are as for `unlink`.

    Raises:
        OSError: ENOTEMPTY, ENOTDIR, ENOENT, EINVAL (the name ends in "."), EBUSY, …
    """
    name, encoded = checked_path(path)
    sys.audit("os.rmdir", name, -1)
    result = await _change(driver, Opcode.UNLINK, encoded, flags=_AT_REMOVEDIR)
    if result < 0:
        raise os_error(result, name)


async def mkdir(
    path: AnyPath, *, permissions: int = 0o777, driver: DriverChoice | None = None
) -> None:
    """Make a directory (mkdir(2)).

    Durability, cancellation, arguments and errors are as for `unlink`.

    Args:
        path: the new name.
        permissions: of the new directory, less the process's umask; 0 to 0o7777.
        driver: as for `open_file`.

    Raises:
        OSError: EEXIST, ENOENT (there is nothing to make it in), ENOTDIR, ENOSPC, EMLINK, …
        TypeError, ValueError: also if there are no such permissions.
    """
    name, encoded = checked_path(path)
    permissions = checked_permissions(permissions)
    sys.audit("os.mkdir", name, permissions, -1)
    result = await _change(driver, Opcode.MKDIR, encoded, mode=permissions)
    if result < 0:
        raise os_error(result, name)


async def rename(
    source: AnyPath,
    target: AnyPath,
    *,
    replace: bool = True,
    exchange: bool = False,
    driver: DriverChoice | None = None,
) -> None:
    """Give a file or directory another name on the same file system, atomically (renameat2(2)).

    Whoever opens `target` finds the old file there or the new one, at any moment. Both directories
    are durable after `sync_directory` of each. Cancellation and errors are as for `unlink`.

    Args:
        source: the name that goes: str, bytes or os.PathLike. A symbolic link is renamed itself.
        target: the name that comes.
        replace: whether a file at `target`, or an empty directory if `source` is one, goes. If not,
            one that is there is EEXIST (RENAME_NOREPLACE, Linux 3.15; ext4, xfs, btrfs and tmpfs
            have it).
        exchange: both names exist, and take each other's place (RENAME_EXCHANGE, likewise).
        driver: as for `open_file`.

    Raises:
        OSError: with errno and both paths: ENOENT, EEXIST, ENOTEMPTY, EISDIR, ENOTDIR, EXDEV
            (another file system: copy instead), EINVAL (a directory would come below itself, or the
            file system has no such rename; nothing was renamed then), …
        ValueError: `exchange` and not `replace`, no such driver, or a path holds a NUL byte.
    """
    if exchange and not replace:
        message = "exchange=True replaces nothing: replace=False has no meaning beside it"
        raise ValueError(message)
    name, encoded = checked_path(source)
    new_name, new_encoded = checked_path(target)
    sys.audit("os.rename", name, new_name, -1, -1)
    flags = _RENAME_EXCHANGE if exchange else 0 if replace else _RENAME_NOREPLACE
    result = await _change(driver, Opcode.RENAME, encoded, new_encoded, flags=flags)
    if result < 0:
        detail = ""
        if result == -errno.EINVAL and flags:
            asked = "exchange=True" if exchange else "replace=False"
            flag = "RENAME_EXCHANGE" if exchange else "RENAME_NOREPLACE"
            detail = f"a directory would come below itself, or there is no {asked} ({flag}) here"
        raise os_error(result, name, detail, new_name)


async def link(source: AnyPath, target: AnyPath, *, driver: DriverChoice | None = None) -> None:
    """Give a file one more name on the same file system (link(2)).

    Durability, cancellation, arguments and errors are as for `unlink`.

    Args:
        source: the name that is there. Of a symbolic link it is the link that gets another name, as
            by `os.link` with ``follow_symlinks=False``.
        target: the new name; nothing is replaced.
        driver: as for `open_file`.

    Raises:
        OSError: with errno and both paths: EEXIST, ENOENT, EXDEV, EMLINK, EPERM (a directory, or
            the file system has no links), …
    """
    name, encoded = checked_path(source)
    new_name, new_encoded = checked_path(target)
    sys.audit("os.link", name, new_name, -1, -1)
    result = await _change(driver, Opcode.LINK, encoded, new_encoded)
    if result < 0:
        raise os_error(result, name, "", new_name)


async def symlink(source: AnyPath, target: AnyPath, *, driver: DriverChoice | None = None) -> None:
    """Make a symbolic link (symlink(2)).

    Durability, cancellation, arguments and errors are as for `unlink`.

    Args:
        source: what the link says: a path, looked up whenever the link is followed, a relative one
            from the directory that holds the link. There need be nothing.
        target: the link's name; nothing is replaced.
        driver: as for `open_file`.

    Raises:
        OSError: with errno and both paths: EEXIST, ENOENT, ENAMETOOLONG, EPERM (the file system has
            no symbolic links), …
    """
    name, encoded = checked_path(source)
    new_name, new_encoded = checked_path(target)
    sys.audit("os.symlink", name, new_name, -1)
    result = await _change(driver, Opcode.SYMLINK, encoded, new_encoded)
    if result < 0:
        raise os_error(result, name, "", new_name)


async def sync_directory(path: AnyPath, *, driver: DriverChoice | None = None) -> None:
    """Make the names in a directory durable (fsync(2) of the directory).

    Until then a crash may undo what was created, renamed or removed in it, although the files' own
    data are durable.

    Args:
        path: the directory: str, bytes or os.PathLike; it must be readable.
        driver: as for `open_file`.

    Raises:
        OSError: ENOENT, ENOTDIR, EACCES; EIO, ENOSPC, …
        DriverUnavailableError, TypeError, ValueError, RuntimeError: as for `unlink`.
    """
    async with await open_directory(path, driver) as directory:
        await directory.fsync()


async def _change(  # noqa: PLR0913  what the calls have between them
    driver: DriverChoice | None,
    opcode: Opcode,
    path: bytes,
    second_path: bytes = b"",
    *,
    flags: int = 0,
    mode: int = 0,
) -> int:
    """Perform one op through a driver that is leased for it; returns its result."""
    leased = lease(driver)
    try:
        account = Account(leased.proactor(), path.removesuffix(b"\0"))
        arguments = CallArguments(path, second_path, flags=flags, mode=mode)
        call = leased.driver.call(opcode, arguments)
        return await account.complete(call.opcode, -1, call.pin)
    finally:
        leased.release()
