"""`open_file`. Knows no event loop, no driver and no C."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Literal, overload

from ._account import Account
from ._appending import AppendingFile
from ._arguments import checked_path, checked_permissions
from ._errors import os_error
from ._file import UringFile
from ._op import CallArguments, Opcode
from ._runtime import DriverChoice, LeasedDriver, lease

if TYPE_CHECKING:
    from ._arguments import AnyPath
    from ._handle import CachedReads
    from ._proactor import Proactor

__all__ = ["DIRECTORY_FLAGS", "Mode", "Opening", "open_directory", "open_file"]

PlacedMode = Literal["r", "r+", "w+", "x+"]
AppendingMode = Literal["a", "a+"]
Mode = Literal[PlacedMode, AppendingMode]

_FLAGS: dict[str, int] = {
    "r": os.O_RDONLY,
    "r+": os.O_RDWR,
    "w+": os.O_RDWR | os.O_CREAT | os.O_TRUNC,
    "x+": os.O_RDWR | os.O_CREAT | os.O_EXCL,
    "a": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
    "a+": os.O_RDWR | os.O_CREAT | os.O_APPEND,
}

# Of a directory that is to be synced, or to start from.
DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@overload
async def open_file(
    path: AnyPath,
    mode: AppendingMode,
    *,
    direct: bool = False,
    permissions: int = 0o666,
    driver: DriverChoice | None = None,
    cached_reads: CachedReads = "auto",
) -> AppendingFile: ...


@overload
async def open_file(
    path: AnyPath,
    mode: PlacedMode = "r",
    *,
    direct: bool = False,
    permissions: int = 0o666,
    driver: DriverChoice | None = None,
    cached_reads: CachedReads = "auto",
) -> UringFile: ...


@overload
async def open_file(
    path: AnyPath,
    mode: Mode,
    *,
    direct: bool = False,
    permissions: int = 0o666,
    driver: DriverChoice | None = None,
    cached_reads: CachedReads = "auto",
) -> UringFile: ...


async def open_file(  # noqa: PLR0913  what a file can be asked for
    path: AnyPath,
    mode: Mode = "r",
    *,
    direct: bool = False,
    permissions: int = 0o666,
    driver: DriverChoice | None = None,
    cached_reads: CachedReads = "auto",
) -> UringFile:
    """Open a file for positional reads and writes (openat2(2), carried out by the driver).

    Args:
        path: the file. A relative one starts at the current directory.
        mode: "r" reads; "r+" reads and writes a file that exists; "w+" creates the file or
            empties it; "x+" creates it and fails with `FileExistsError` if it exists. "a"
            and "a+" create the file if need be, and give an `AppendingFile`, whose writes all go to
            its end; "a" is not for reading.
        direct: bypass the page cache (O_DIRECT). Buffers, offsets and lengths must then be
            aligned as the file system wants it, mostly to 512 or 4096 bytes.
        permissions: of a file that is created, less the process's umask.
        driver: "uring" (io_uring, one ring and its thread for all loops), "uring-local" (io_uring,
            a ring for each loop, entered by the loop's own thread, Linux 5.8; both raise
            `DriverUnavailableError` where they cannot run), "threads" (native threads), or None:
            "uring" if it works here, else "threads"; `statistics()` says which and why. Or an
            `asyncuring.testing.SimulatedDisk`.
        cached_reads: who copies what the page cache has. "ring": the driver, always. "inline": the
            calling thread, up to 64 KiB (preadv2(2), RWF_NOWAIT), what it refuses the driver.
            "auto": the calling thread while the loop has less than 32 operations under way, the
            driver when there are more, for then its copying overlaps with what the tasks do. Each
            read lets other tasks run, whoever copies. Without effect where `direct`.

    Returns:
        The open file. Close it with `aclose`, or use it as an asynchronous context manager, in
        ``async with await open_file(...) as uring_file``.

    Raises:
        OSError: the kernel's answer, with errno and path; `FileNotFoundError` and the like.
        DriverUnavailableError: the driver asked for by name cannot run here.
        TypeError, ValueError: an argument cannot be used: there is no such mode, driver or
            `cached_reads`, or the path holds a NUL byte; nothing was opened.
        RuntimeError: no asyncio or trio task is running.
    """
    if mode not in _FLAGS:
        message = f"mode must be one of {', '.join(map(repr, _FLAGS))}, not {mode!r}"
        raise ValueError(message)
    if cached_reads not in ("auto", "inline", "ring"):
        message = f"cached_reads must be 'auto', 'inline' or 'ring', not {cached_reads!r}"
        raise ValueError(message)
    name, encoded = checked_path(path)
    permissions = checked_permissions(permissions)
    flags = _FLAGS[mode] | os.O_CLOEXEC | (_direct_flag() if direct else 0)
    sys.audit("open", name, mode, flags)
    kind = AppendingFile if flags & os.O_APPEND else UringFile
    file = kind(name, direct=direct, cached_reads=cached_reads)
    return await _opened(file, encoded, flags, permissions, driver)


async def open_directory(path: AnyPath, driver: DriverChoice | None) -> UringFile:
    """Open a directory, to be synced; the errors of `open_file`, or ENOTDIR."""
    name, encoded = checked_path(path)
    sys.audit("open", name, "r", DIRECTORY_FLAGS)
    file = UringFile(name, direct=False, cached_reads="ring")
    return await _opened(file, encoded, DIRECTORY_FLAGS, 0, driver)


async def _opened(
    file: UringFile, path: bytes, flags: int, permissions: int, driver: DriverChoice | None
) -> UringFile:
    leased = lease(driver, file)
    try:
        fd = await _open(leased, path, flags, permissions)
    except BaseException:
        leased.release()
        raise
    if fd < 0:
        leased.release()
        raise os_error(fd, file.name)
    try:
        file.opened(fd, leased)
    except OSError as error:
        os.close(fd)
        leased.release()
        raise os_error(-(error.errno or 0), file.name) from None
    return file


def _direct_flag() -> int:
    try:
        return os.O_DIRECT
    except AttributeError:
        message = "this platform has no O_DIRECT"
        raise ValueError(message) from None


class Opening(Account):
    """The account of one OPEN, which closes what nobody will hear of.

    value: its result, also if its task was cancelled or is gone; -1 until it is done.
    """

    __slots__ = ("unwanted", "value")

    def __init__(self, proactor: Proactor, path: bytes) -> None:
        """Open an account with `proactor`."""
        super().__init__(proactor, path.removesuffix(b"\0"))
        self.unwanted = False
        self.value = -1
        self.on_quiet = lambda: None  # have `settle` called

    def settle(self, value: int) -> None:
        """Close the file, if it is open by now and unwanted."""
        self.value = value
        super().settle(value)
        self.close_unwanted()

    def close_unwanted(self) -> None:
        """Close the file, if it is open by now and unwanted."""
        if self.unwanted and self.value >= 0:
            fd, self.value = self.value, -1  # once
            os.close(fd)


async def _open(leased: LeasedDriver, path: bytes, flags: int, permissions: int) -> int:
    account = Opening(leased.proactor(), path)
    mode = permissions if flags & os.O_CREAT else 0  # openat2(2) takes none otherwise
    call = leased.driver.call(Opcode.OPEN, CallArguments(path, flags=flags, mode=mode))
    waiter = account.new_waiter()
    try:
        account.perform(waiter, call.opcode, -1, call.pin)
        fd: int = await waiter
    except BaseException as interruption:
        # Cancelled (or its task destroyed), and yet it may open the file: then close it again.
        account.unwanted = True
        account.close_unwanted()
        await account.interrupted(waiter, interruption)
        raise
    return fd
