"""What callers pass in, checked at the call: buffers, offsets, paths. Knows nothing of ours."""

from __future__ import annotations

import array
import mmap
import operator
import os
import re
from contextlib import suppress
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import sys
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeAlias

    if sys.version_info >= (3, 12):
        from collections.abc import Buffer
    else:
        from typing_extensions import Buffer

    AnyPath: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]

__all__ = [
    "BUFFERS_MAX",
    "OFFSET_MAX",
    "PIN_ERRORS",
    "PLAIN_TYPES",
    "TRANSFER_MAX",
    "byte_view",
    "checked_offset",
    "checked_path",
    "checked_permissions",
    "checked_range",
    "let_go",
    "pinned",
    "pinned_buffers",
    "pinned_requests",
    "refuse_objects",
    "unusable",
]

# loff_t is signed, and io_uring takes its -1 for "the current position" (io_uring_enter(2)).
OFFSET_MAX = 2**63 - 1

# What one read(2) or write(2) transfers at most (their manual pages, NOTES).
TRANSFER_MAX = 0x7FFFF000

# The buffers of one readv(2) or writev(2): IOV_MAX of limits.h, UIO_MAXIOV in the kernel.
BUFFERS_MAX = 1024

_PERMISSIONS_MAX = 0o7777

# Buffers of these types hold plain data; others are asked whether they hold Python objects.
PLAIN_TYPES = frozenset({bytearray, bytes, array.array, mmap.mmap})

# What pinning raises for a buffer that cannot be used; `unusable` says it better.
PIN_ERRORS = (TypeError, ValueError, BufferError)

# In the format of a buffer of structures: `T{<q:Offset:O:value:}`.
_FIELD_NAME = re.compile(":[^:]*:")


def checked_offset(off: int) -> int:
    """Return `off` as an int that the kernel takes; ValueError or TypeError otherwise."""
    off = operator.index(off)
    if not 0 <= off <= OFFSET_MAX:
        message = f"offset must be between 0 and 2**63 - 1, not {off}"
        raise ValueError(message)
    return off


def checked_range(off: int, length: int, *, empty: bool = False) -> tuple[int, int]:
    """Return both as ints that the kernel takes; ValueError or TypeError otherwise.

    empty: `length` may be 0, which then means: to the end of the file, wherever that is.
    """
    off, length = checked_offset(off), operator.index(length)
    if not (0 if empty else 1) <= length <= OFFSET_MAX - off:
        message = f"length must be between {int(not empty)} and 2**63 - 1 - {off}, not {length}"
        raise ValueError(message)
    return off, length


def checked_path(path: AnyPath) -> tuple[str | bytes, bytes]:
    """Return `path` as it was given, without its object, and as the kernel takes it.

    ValueError if it holds a NUL byte, TypeError if it is no path.
    """
    name = os.fspath(path)
    encoded = os.fsencode(name)
    if b"\0" in encoded:
        message = "embedded null byte in the path"
        raise ValueError(message)
    return name, encoded + b"\0"


def checked_permissions(permissions: int) -> int:
    """Return `permissions` of what is to be created; ValueError or TypeError if they are none."""
    permissions = operator.index(permissions)
    if not 0 <= permissions <= _PERMISSIONS_MAX:
        message = f"permissions must be between 0 and {_PERMISSIONS_MAX:#o}, not {permissions!r}"
        raise ValueError(message)
    return permissions


def pinned(pin: Callable[[Any, bool], Any], buf: Buffer, writable: bool) -> Any:
    """Export `buf` for as long as the result lives; TypeError, BufferError or ValueError."""
    try:
        exported = pin(buf, writable)
    except PIN_ERRORS as error:
        raise unusable(buf, error) from None
    if type(buf) not in PLAIN_TYPES:
        refuse_objects(buf)
    return exported


def pinned_buffers(
    pin: Callable[[Any, bool], Any], bufs: Iterable[Buffer], writable: bool
) -> list[Any]:
    """Pin each of the buffers of one vectored read or write; ValueError if they are too many."""
    pins = [pinned(pin, buf, writable) for buf in bufs]
    if len(pins) > BUFFERS_MAX:
        message = f"one call takes at most {BUFFERS_MAX} buffers (IOV_MAX), not {len(pins)}"
        raise ValueError(message)
    return pins


def pinned_requests(
    pin: Callable[[Any, bool], Any], requests: Sequence[tuple[Buffer, int]], writable: bool
) -> list[tuple[Any, int]]:
    """Pin the buffer and check the offset of each request; the errors of both."""
    try:
        return [(pinned(pin, buf, writable), checked_offset(off)) for buf, off in requests]
    except (TypeError, ValueError):
        for request in cast("Sequence[object]", requests):
            if not isinstance(request, tuple) or len(request) != 2:  # noqa: PLR2004  a pair
                message = f"a request is a pair (buf, off), not {request!r}"
                raise TypeError(message) from None
        raise


def refuse_objects(buf: Buffer) -> None:
    """Bytes of a file must never become pointers to Python objects."""
    with memoryview(buf) as view:
        if "O" in _FIELD_NAME.sub("", view.format):
            message = f"a buffer of Python objects ({type(buf).__name__}) cannot be read or written"
            raise TypeError(message)


def unusable(buf: Buffer, error: Exception) -> Exception:
    """Say which of the three things is wrong with `buf`."""
    kind = type(buf).__name__
    try:
        view = memoryview(buf)
    except TypeError:
        return TypeError(f"a buffer (bytearray, memoryview, …) is needed, not {kind}")
    except ValueError as closed:  # a closed mmap, a released memoryview
        return closed
    if not view.c_contiguous:
        return BufferError(f"the buffer ({kind}) is not C-contiguous")
    if view.readonly:
        return BufferError(f"a writable buffer is needed to read into; {kind} is read-only")
    return error


def byte_view(buf: Buffer) -> memoryview:
    """View any C-contiguous buffer as bytes, without a copy; the errors of `read_at` otherwise."""
    try:
        with memoryview(buf) as view:
            contiguous = view.c_contiguous
    except PIN_ERRORS as error:
        raise unusable(buf, error) from None
    if not contiguous:
        raise unusable(buf, BufferError())
    refuse_objects(buf)
    # memoryview.cast knows neither structures nor arrays of no elements.
    return PickleBuffer(buf).raw()


def let_go(view: memoryview) -> None:
    """Release a view: whoever keeps an exception has the frames of its calls, and what they name.

    An op may have it still, if its task is being destroyed and cannot wait.
    """
    with suppress(BufferError):
        view.release()
