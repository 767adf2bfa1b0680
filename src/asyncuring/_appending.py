"""Files opened to append. Knows no event loop, no driver and no C."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NoReturn

from ._file import UringFile

if TYPE_CHECKING:
    import sys

    if sys.version_info >= (3, 12):
        from collections.abc import Buffer
    else:
        from typing_extensions import Buffer

__all__ = ["AppendingFile"]


class AppendingFile(UringFile):
    """A file opened with mode "a" or "a+" (O_APPEND): whatever is written goes to its end.

    All that names an offset to write to is refused, for the kernel ignores it on such a file
    (pwrite(2), BUGS). The rest is as of every `UringFile`.
    """

    async def append(self, buf: Buffer, *, durable: bool = False, dontcache: bool = False) -> int:
        """Write at most len(buf) bytes from `buf` to the end of the file, wherever that is.

        Finding the end and writing there are one step, also among processes (open(2), O_APPEND; not
        on NFS): what is appended at the same time stands there in some order, never mixed.

        Args:
            buf: any C-contiguous buffer. Do not change it until the write is done.
            durable: done when `fdatasync` of these bytes alone would be (RWF_DSYNC, Linux 4.7).
            dontcache: see `write_at`.

        Returns:
            The number of bytes appended; fewer than len(buf) when the disk is full, or when the
            kernel says so (2 147 479 552 bytes at most in one call). To append the rest is another
            step: something else may stand between.

        Raises:
            OSError, TypeError, BufferError, ValueError, ClosedFileError: as `write_at`.
        """
        return await super().write_at(buf, 0, durable=durable, dontcache=dontcache)

    def chain(self) -> NoReturn:
        """Refuse: see `append`, with `durable=True` for what a chain would do.

        Raises:
            io.UnsupportedOperation: always.
        """
        self._refuse("chain")

    async def write_at(self, *_args: object, **_flags: object) -> NoReturn:
        """Refuse: see `append`.

        Raises:
            io.UnsupportedOperation: always.
        """
        self._refuse("write_at")

    async def write_all_at(self, *_args: object, **_flags: object) -> NoReturn:
        """Refuse: see `append`.

        Raises:
            io.UnsupportedOperation: always.
        """
        self._refuse("write_all_at")

    async def write_many_at(self, *_args: object, **_flags: object) -> NoReturn:
        """Refuse: see `append`.

        Raises:
            io.UnsupportedOperation: always.
        """
        self._refuse("write_many_at")

    async def writev_at(self, *_args: object, **_flags: object) -> NoReturn:
        """Refuse: see `append`.

        Raises:
            io.UnsupportedOperation: always.
        """
        self._refuse("writev_at")

    def _refuse(self, what: str) -> NoReturn:
        message = (
            f"{what} on {self._name!r}, which is open to append: the kernel would ignore the "
            "offset and write to the end of the file; use append, or open it with mode 'r+'"
        )
        raise io.UnsupportedOperation(message)
