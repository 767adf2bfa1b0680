"""System calls that Python's `os` does not have, or not in full. Linux; results as the kernel's."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "AT_FDCWD",
    "fallocate",
    "lock",
    "open_without_waiting",
    "read",
    "renameat",
    "statx",
    "sync_range",
    "write",
]

AT_FDCWD = -100
_RWF_NOWAIT = 0x08
_NEXT = -1  # as an offset: from where the stream is
_OPENAT2 = 437  # its number everywhere; the C library has no function for it

# struct flock, where off_t has 64 bits, and fcntl.h of Linux.
_FLOCK = struct.Struct("@hhqqi4x")
_SET_LOCK = 37  # F_OFD_SETLK
_LOCKS = (fcntl.F_UNLCK, fcntl.F_RDLCK, fcntl.F_WRLCK)  # by enum asyncuring_lock

_libc = ctypes.CDLL(None, use_errno=True)
_int64 = ctypes.c_int64


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def read(fd: int, buffers: Sequence[memoryview], offset: int, flags: int) -> int | None:
    """Read; None if it is a stream that has nothing yet."""
    try:
        return os.preadv(fd, buffers, offset, flags)
    except OSError as error:
        if error.errno != errno.ESPIPE:
            raise
    return _of_stream(os.preadv, fd, buffers, flags)


def write(fd: int, buffers: Sequence[memoryview], offset: int, flags: int) -> int | None:
    """Write; None if it is a stream that has no room yet."""
    try:
        return os.pwritev(fd, buffers, offset, flags)
    except OSError as error:
        if error.errno != errno.ESPIPE:
            raise
    return _of_stream(os.pwritev, fd, buffers, flags)


def _of_stream(transfer: Any, fd: int, buffers: Sequence[memoryview], flags: int) -> int | None:
    if flags & _RWF_NOWAIT:  # the caller's own: it never waits
        count: int = transfer(fd, buffers, _NEXT, flags)
        return count
    # Of streams only pipes know RWF_NOWAIT (Linux 6.5), and FIFOs do not. This works with all.
    with _without_blocking(fd):
        try:
            count = transfer(fd, buffers, _NEXT, flags)
        except BlockingIOError:
            return None
    return count


@contextmanager
def _without_blocking(fd: int) -> Iterator[None]:
    blocks = os.get_blocking(fd)
    os.set_blocking(fd, False)
    try:
        yield
    finally:
        os.set_blocking(fd, blocks)


def open_without_waiting(directory: int, path: bytes, flags: int, mode: int, resolve: int) -> int:
    """Open as `calls.c` does: a FIFO without a writer keeps nobody waiting."""
    if resolve:
        how = struct.pack("=QQQ", flags | os.O_NONBLOCK, mode, resolve)
        fd = _checked(_libc.syscall(_OPENAT2, directory, path, how, len(how)))
    else:
        fd = os.open(path, flags | os.O_NONBLOCK, mode, dir_fd=directory)
    os.set_blocking(fd, True)
    return fd


def statx(directory: int, path: bytes, flags: int, mask: int, result: bytearray) -> int:
    """statx(2)."""
    memory = (ctypes.c_char * len(result)).from_buffer(result)
    return _checked(_libc.statx(directory, path, flags, mask, memory))


def fallocate(fd: int, mode: int, offset: int, length: int) -> int:
    """fallocate(2)."""
    return _checked(_libc.fallocate(fd, mode, _int64(offset), _int64(length)))


def sync_range(fd: int, offset: int, length: int, flags: int) -> int:
    """sync_file_range(2)."""
    return _checked(_libc.sync_file_range(fd, _int64(offset), _int64(length), flags))


def renameat(directory: int, path: bytes, second: int, second_path: bytes, flags: int) -> int:
    """renameat2(2)."""
    return _checked(_libc.renameat2(directory, path, second, second_path, flags))


def lock(fd: int, kind: int, offset: int, length: int) -> int:
    """fcntl(2), F_OFD_SETLK."""
    fcntl.fcntl(fd, _SET_LOCK, _FLOCK.pack(_LOCKS[kind], os.SEEK_SET, offset, length, 0))
    return 0
