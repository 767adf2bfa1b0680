"""The errors of the library, and how a kernel result becomes one. Knows nothing of ours."""

from __future__ import annotations

import errno
import os

__all__ = [
    "CANCELLED",
    "ClosedFileError",
    "ClosedPoolError",
    "DriverUnavailableError",
    "EndOfFileError",
    "ForkedProcessError",
    "alignment_detail",
    "is_cancelled",
    "os_error",
    "written_no_more",
]

# The result of an op that was cancelled before it began.
CANCELLED = -errno.ECANCELED

# A cancelled request answers ECANCELED if it had not begun; one that a kernel worker had begun and
# that could be interrupted answers EINTR (io_uring_prep_cancel(3); io_uring/rw.c). An interrupted
# open lets the kernel's own ERESTARTSYS out, which no system call ever returns (seen on 6.18).
_ERESTARTSYS = 512
_CANCELLED_RESULTS = frozenset({CANCELLED, -errno.EINTR, -_ERESTARTSYS})


class ClosedFileError(ValueError):
    """The file is closed, or was closed while the operation was under way.

    A `ValueError`, like the one that Python's own files raise.
    """


class ClosedPoolError(ValueError):
    """The pool of buffers is closed, or was closed while the task waited for one."""


class DriverUnavailableError(OSError):
    """The driver that was asked for cannot run here.

    Attributes:
        driver: its name, as passed to `open_file`.
        cause: the likely cause, in one sentence.
        remedy: what to do about it, in one sentence.
        errno: the kernel's answer, or None if the kernel was not asked.
    """

    def __init__(self, driver: str, cause: str, remedy: str, number: int | None = None) -> None:
        """Build the message from cause and remedy; `number` is an errno."""
        answer = "" if number is None else f" ({errno.errorcode.get(number, number)})"
        text = f"the {driver!r} driver cannot run here{answer}: {cause}. {remedy}."
        super().__init__(number, text)
        self.driver = driver
        self.cause = cause
        self.remedy = remedy

    def __str__(self) -> str:
        """Give the message without the `[Errno …]` that OSError puts before it."""
        return str(self.strerror)


class EndOfFileError(EOFError):
    """The file ended before the buffer was full.

    Attributes:
        count: how many bytes were read, all of them in the buffer.
        expected: how many were asked for.
    """

    def __init__(self, count: int, expected: int, name: str) -> None:
        """Say what was read of what was asked for."""
        super().__init__(f"{name!r} ended after {count} of {expected} bytes")
        self.count = count
        self.expected = expected


class ForkedProcessError(RuntimeError):
    """The file was opened in another process, before a fork; open it again in this one."""


def os_error(
    result: int, name: str | bytes, detail: str = "", second_name: str | bytes | None = None
) -> OSError:
    """Turn a negative errno into the OSError subclass that Python has for it, with the path(s)."""
    text = os.strerror(-result)
    return OSError(-result, f"{text}: {detail}" if detail else text, name, None, second_name)


def written_no_more(name: str | bytes, count: int, length: int) -> OSError:
    """Return what to raise where the kernel keeps writing nothing and gives no reason: EIO."""
    detail = f"nothing more was written after {count} of {length} bytes"
    return os_error(-errno.EIO, name, detail)


def is_cancelled(result: int) -> bool:
    """Whether a request that we asked the kernel to cancel was in fact cancelled."""
    return result in _CANCELLED_RESULTS


def alignment_detail(alignment: tuple[int, int] | None, length: int, off: int) -> str:
    """Say what O_DIRECT wants of memory and of offsets, in bytes; None: nobody can tell."""
    if alignment is None:
        return "with direct=True the file system wants aligned buffers, offsets and lengths"
    memory, offset = alignment
    return (
        f"with direct=True this file wants buffers aligned to {memory} bytes, and offsets and "
        f"lengths that are multiples of {offset} (got offset {off}, length {length})"
    )
