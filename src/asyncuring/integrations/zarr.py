"""A store for zarr: the chunks of arrays in local files, read and written through asyncuring.

Install it with ``pip install 'asyncuring[zarr]'`` (zarr-python 3.1, CPython 3.11), and pass a store
where zarr takes one::

    import zarr
    from asyncuring.integrations.zarr import UringStore

    array = zarr.open_array(UringStore("/data/array.zarr"), mode="r")

The files are where zarr's own `LocalStore` has them: each opens what the other wrote.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import asyncuring

from ._drafts import is_draft, make_directories, put
from ._kept_driver import KeptDriver
from ._ranges import read_many, size_of

try:
    import numpy as np
    from zarr.abc.store import OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
    from zarr.core.buffer import Buffer, default_buffer_prototype
    from zarr.core.sync import sync
except ModuleNotFoundError as error:
    message = "zarr is missing: pip install 'asyncuring[zarr]' (CPython 3.11 or later)"
    raise ModuleNotFoundError(message, name=error.name) from error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from typing_extensions import Self
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import BufferPrototype

    from asyncuring._runtime import DriverName

__all__ = ["UringStore"]

# What says that there is no such key: it, or a part of it, names something else.
_NO_KEY = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


class UringStore(Store):
    """Keys are files below a directory.

    Any number of tasks, loops, threads and processes may use the same directory at once. Whoever
    reads a key finds a value that was set, whole, or that there is none: a value is written to a
    temporary file beside its own, whose name begins with ".asyncuring-", and which then takes its
    name (rename(2)). A write that fails, or is cancelled, leaves what was there; a process that is
    killed may leave the temporary file, which no reader takes for a key.

    A store keeps a driver running from its first use on, until `close` or its end.

    Args:
        path: the directory, made if need be unless `read_only`. A relative one starts at what is
            the current directory now.
        read_only: refuse to change anything.
        driver: as for `asyncuring.open_file`.
        durable: what `set` and `set_if_not_exists` have written survives a crash of the machine
            (fdatasync(2) of the file, fsync(2) of the directories). If not, it survives the end of
            the process, and of the machine as soon as the kernel has written it out, which may be
            half a minute later; the files that a crash leaves may then be empty or torn. A deletion
            is never made durable.
    """

    supports_writes = True
    supports_deletes = True
    supports_listing = True
    _is_open: bool

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        read_only: bool = False,
        driver: DriverName | None = None,
        durable: bool = False,
    ) -> None:
        super().__init__(read_only=read_only)
        self.path = os.path.abspath(os.fspath(path))
        self.durable = durable
        self._driver = KeptDriver(driver)
        self._durable_directories: set[str] = set()

    def with_read_only(self, read_only: bool = False) -> Self:
        """Return a store of the same directory with another setting."""
        return type(self)(
            self.path, read_only=read_only, driver=self._driver.name, durable=self.durable
        )

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs: neither a running driver nor what was found durable."""
        return {
            **self.__dict__,
            "_driver": self._driver.name,
            "_durable_directories": set(),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _driver=KeptDriver(state["_driver"]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self.path == other.path

    __hash__ = None  # type: ignore[assignment]  # as zarr's own stores

    def __str__(self) -> str:
        return f"uring://{self.path}"

    def __repr__(self) -> str:
        return f"UringStore('{self}')"

    # -- opening

    async def _open(self) -> None:
        if self._is_open:
            message = "store is already open"
            raise ValueError(message)
        await self._prepare()

    async def _prepare(self) -> None:
        """Open the store unless it is; several tasks may come here at once."""
        if not self._is_open:
            driver = self._driver.keep()
            if not self.read_only:
                await make_directories(self.path, driver)
            elif not await asyncio.to_thread(os.path.isdir, self.path):
                message = f"{self.path} does not exist"
                raise FileNotFoundError(message)
            self._is_open = True

    def close(self) -> None:
        """Let the driver stop. A store that is used after that opens again."""
        super().close()
        self._driver.release()

    def _file(self, key: str) -> str:
        return f"{self.path}/{key}"

    # -- reading

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return the value of a key, or a range of it; None if there is none.

        Raises:
            OSError: the kernel's answer: EACCES, EIO, …
            TypeError: there is no such kind of range.
        """
        (value,) = await self._get_ranges(key, prototype, [byte_range])
        return value

    async def _get_ranges(
        self,
        key: str,
        prototype: BufferPrototype | None,
        byte_ranges: list[ByteRequest | None],
    ) -> list[Buffer | None]:
        if not self._is_open:
            await self._prepare()
        make = (prototype or default_buffer_prototype()).buffer.from_bytes
        driver = self._driver.keep()
        try:
            async with await asyncuring.open_file(self._file(key), driver=driver) as file:
                size = size_of(file)
                ranges = [_start_and_length(byte_range, size) for byte_range in byte_ranges]
                arrays: list[Any] = [np.empty(length, np.uint8) for _, length in ranges]
                await read_many(
                    file,
                    [
                        (array.data, start)
                        for array, (start, length) in zip(arrays, ranges, strict=True)
                        if length
                    ],
                )
        except _NO_KEY:
            return [None] * len(byte_ranges)
        return [make(array.data) for array in arrays]

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        """Return ranges of values, in the order of `key_ranges`; each file is opened once."""
        wanted = list(key_ranges)
        places: dict[str, list[int]] = {}
        for place, (key, _) in enumerate(wanted):
            places.setdefault(key, []).append(place)
        found = await asyncio.gather(
            *(
                self._get_ranges(key, prototype, [wanted[place][1] for place in its_places])
                for key, its_places in places.items()
            )
        )
        values: list[Buffer | None] = [None] * len(wanted)
        for its_places, its_values in zip(places.values(), found, strict=True):
            for place, value in zip(its_places, its_values, strict=True):
                values[place] = value
        return values

    async def exists(self, key: str) -> bool:
        """Return whether there is a value for a key."""
        return await asyncio.to_thread(os.path.isfile, self._file(key))

    async def getsize(self, key: str) -> int:
        """Return the length of a value in bytes; FileNotFoundError if there is none."""
        status = await asyncio.to_thread(os.stat, self._file(key))
        if not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(key)
        return status.st_size

    # -- writing

    async def set(self, key: str, value: Buffer) -> None:
        """Give a key a value.

        Raises:
            OSError: ENOSPC, EDQUOT, EACCES, EIO, …; what was there is there still.
            TypeError: `value` is no buffer of zarr's.
            ValueError: the store is read-only.
        """
        await self._set(key, value, exclusive=False)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Give a key a value if it has none; of several that try at once one succeeds."""
        with suppress(FileExistsError):
            await self._set(key, value, exclusive=True)

    async def _set(self, key: str, value: Buffer, *, exclusive: bool) -> None:
        self._check_writable()
        if not isinstance(value, Buffer):
            message = f"value must be a zarr Buffer, not {type(value).__name__}"
            raise TypeError(message)
        if not self._is_open:
            await self._prepare()
        path, driver = self._file(key), self._driver.keep()
        data = value.as_buffer_like()
        await put(path, data, driver, exclusive=exclusive, durable=self.durable)
        if self.durable:
            await self._make_names_durable(os.path.dirname(path))

    async def _make_names_durable(self, directory: str) -> None:
        """Sync what holds the names of a directory and of those above, once for each.

        Up to the root of the store, included: whoever made them may not have synced them.
        """
        while directory not in self._durable_directories:
            above = os.path.dirname(directory)
            await asyncuring.sync_directory(above, driver=self._driver.keep())
            self._durable_directories.add(directory)
            if directory == self.path:
                break
            directory = above

    async def delete(self, key: str) -> None:
        """Remove a key, if it has a value; all below it, if it is a directory.

        Raises:
            OSError: EACCES, EIO, …
            ValueError: the store is read-only.
        """
        self._check_writable()
        if not self._is_open:
            await self._prepare()
        path = self._file(key)
        try:
            await asyncuring.unlink(path, driver=self._driver.keep())
        except IsADirectoryError:
            await self._delete_tree(path)
        except (FileNotFoundError, NotADirectoryError):
            pass  # nothing to remove

    async def delete_dir(self, prefix: str) -> None:
        """Remove all keys below a prefix; ValueError if it is a key itself."""
        self._check_writable()
        if not self._is_open:
            await self._prepare()
        path = self._file(prefix).rstrip("/")
        if await asyncio.to_thread(os.path.isfile, path):
            message = f"{prefix!r} is a key, not a prefix: use delete"
            raise ValueError(message)
        await self._delete_tree(path)

    async def clear(self) -> None:
        """Remove all keys."""
        await self.delete_dir("")

    async def _delete_tree(self, path: str) -> None:
        self._durable_directories.clear()  # a directory of an old name is a new one
        with suppress(FileNotFoundError):  # another one removes it, too
            await asyncio.to_thread(shutil.rmtree, path)
        if path == self.path:
            await make_directories(path, self._driver.keep())

    # -- listing

    async def list(self) -> AsyncIterator[str]:
        """Give all keys."""
        async for key in self.list_prefix(""):
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Give all keys below a directory, relative to the store's."""
        for key, _ in await asyncio.to_thread(_keys_and_paths, self.path, prefix):
            yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Give the names in a directory, of keys and of directories."""
        try:
            names = await asyncio.to_thread(os.listdir, self._file(prefix))
        except (FileNotFoundError, NotADirectoryError):
            return
        for name in names:
            if not is_draft(name):
                yield name

    async def getsize_prefix(self, prefix: str) -> int:
        """Return the length of all values below a directory, in bytes."""
        found = await asyncio.to_thread(_keys_and_paths, self.path, prefix)
        return await asyncio.to_thread(lambda: sum(os.path.getsize(path) for _, path in found))

    # -- the same, for those who run no loop

    def get_sync(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """`get`, in zarr's own loop: not for use in a task of that."""
        return sync(self.get(key, prototype, byte_range))

    def set_sync(self, key: str, value: Buffer) -> None:
        """`set`, likewise."""
        sync(self.set(key, value))

    def delete_sync(self, key: str) -> None:
        """`delete`, likewise."""
        sync(self.delete(key))


def _start_and_length(byte_range: ByteRequest | None, size: int) -> tuple[int, int]:
    """Return what a request asks for of a file of `size` bytes."""
    if byte_range is None:
        return 0, size
    if isinstance(byte_range, RangeByteRequest):
        start, end = byte_range.start, min(byte_range.end, size)
    elif isinstance(byte_range, OffsetByteRequest):
        start, end = byte_range.offset, size
    elif isinstance(byte_range, SuffixByteRequest):
        start, end = max(0, size - byte_range.suffix), size
    else:
        message = f"Unexpected byte_range, got {byte_range}."
        raise TypeError(message)
    return start, max(0, end - start)


def _keys_and_paths(root: str, prefix: str) -> list[tuple[str, str]]:
    found = []
    for directory, _, names in os.walk(os.path.join(root, prefix.strip("/"))):
        for name in names:
            path = os.path.join(directory, name)
            if not is_draft(name) and os.path.isfile(path):
                found.append((os.path.relpath(path, root), path))
    return found
