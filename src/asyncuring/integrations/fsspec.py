"""Local files for fsspec, read and written through asyncuring, under ``uring://``.

Install it with ``pip install 'asyncuring[fsspec]'``; then whatever takes fsspec's URLs takes
``uring:///data/table.parquet``: pandas, pyarrow, Dask, Ray. From tasks of a program's own::

    import fsspec

    files = fsspec.filesystem("uring", asynchronous=True)
    header, footer = await files._cat_ranges([path, path], [0, -8], [16, None])

The path behind ``uring://`` is one of this machine, from the current directory if relative.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import errno
import os
import shutil
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import asyncuring

from ._drafts import is_draft, make_directories, put, put_copy
from ._kept_driver import KeptDriver
from ._ranges import read_bytes, size_of

try:
    from fsspec.asyn import AsyncFileSystem, _run_coros_in_chunks, sync
    from fsspec.implementations.local import LocalFileSystem, trailing_sep
except ModuleNotFoundError as error:
    message = "fsspec is missing: pip install 'asyncuring[fsspec]'"
    raise ModuleNotFoundError(message, name=error.name) from error

from ._fsspec_files import StreamedFile, UringBufferedFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsspec.asyn import AbstractAsyncStreamedFile

    from asyncuring._runtime import DriverName

__all__ = ["UringFileSystem"]

# Files that one call opens at once; fsspec's own number is more than a process may have by default.
_FILES_MAX = 128


class UringFileSystem(AsyncFileSystem):
    """Files of this machine.

    What is written appears under its name whole, when it is finished: until then it is a temporary
    file in the same directory, whose name begins with ".asyncuring-". Directories above are made as
    needed. Nothing is made durable: after a crash of the machine what was written in the last half
    minute may be gone, or torn. Copies have the permissions of new files.

    Instances are cached, as all of fsspec's are, and each keeps a driver running from its first use
    on, for as long as it lives. One that is not `asynchronous` works in fsspec's own loop, which
    has a thread to itself. A process that was forked asks `fsspec.filesystem` for a new one.

    Args:
        driver: as for `asyncuring.open_file`.
        storage_options: what every file system of fsspec takes: `asynchronous`, `loop`,
            `batch_size` (files open at once, 128 if not given), …
    """

    protocol = "uring"
    root_marker = "/"
    local_file = True

    def __init__(self, *, driver: DriverName | None = None, **storage_options: Any) -> None:
        storage_options.setdefault("batch_size", _FILES_MAX)
        super().__init__(**storage_options)
        self.kept_driver = KeptDriver(driver)
        self._local = LocalFileSystem()

    def close(self) -> None:
        """Let the driver stop. The next use starts it again."""
        self.kept_driver.release()

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        return LocalFileSystem._strip_protocol.__func__(cls, path)  # noqa: SLF001  what fsspec's own do

    @classmethod
    def _parent(cls, path: Any) -> str:
        parent: str = os.path.dirname(cls._strip_protocol(path))
        return parent

    # -- reading

    async def _cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **_: Any
    ) -> bytes:
        (content,) = await self._read(self._strip_protocol(path), [(start, end)])
        return content

    async def _cat_ranges(  # noqa: PLR0913, PLR0917  fsspec's own
        self,
        paths: Any,
        starts: Any,
        ends: Any,
        max_gap: int | None = None,
        batch_size: int | None = None,
        on_error: str = "return",
        **_: Any,
    ) -> list[bytes | Exception]:
        """Read many ranges at once: those of a file with one open and one await."""
        if max_gap is not None:
            raise NotImplementedError
        if not isinstance(paths, list):
            message = f"paths must be a list, not {type(paths).__name__}"
            raise TypeError(message)
        starts, ends = _one_for_each(starts, paths), _one_for_each(ends, paths)
        places: dict[str, list[int]] = {}
        for place, path in enumerate(paths):
            places.setdefault(self._strip_protocol(path), []).append(place)
        found = await _run_coros_in_chunks(
            [
                self._read(path, [(starts[place], ends[place]) for place in its_places])
                for path, its_places in places.items()
            ],
            batch_size=batch_size or self.batch_size,
            return_exceptions=True,
        )
        contents: list[bytes | Exception] = [b""] * len(paths)
        for its_places, its_contents in zip(places.values(), found):  # noqa: B905  one for each
            failed = isinstance(its_contents, Exception)
            if failed and on_error == "raise":
                raise its_contents
            for index, place in enumerate(its_places):
                contents[place] = its_contents if failed else its_contents[index]
        return contents

    async def _read(
        self, path: str, ranges: Sequence[tuple[int | None, int | None]]
    ) -> list[bytes]:
        async with await asyncuring.open_file(path, driver=self.kept_driver.keep()) as file:
            size = size_of(file)
            return await read_bytes(file, [_within(size, *wanted) for wanted in ranges])

    async def _get_file(self, rpath: str, lpath: Any, callback: Any = None, **_: Any) -> None:
        rpath = self._strip_protocol(rpath)
        if hasattr(lpath, "write"):
            lpath.write(await self._cat_file(rpath))
        elif await self._isdir(rpath):
            await make_directories(_absolute(lpath), self.kept_driver.keep())
        else:
            await self._copied(rpath, _absolute(lpath), callback)

    # -- writing

    async def _pipe_file(self, path: str, value: Any, mode: str = "overwrite", **_: Any) -> None:
        path = self._strip_protocol(path)
        await put(path, value, self.kept_driver.keep(), exclusive=mode == "create")

    async def _put_file(
        self, lpath: str, rpath: str, mode: str = "overwrite", callback: Any = None, **_: Any
    ) -> None:
        rpath = self._strip_protocol(rpath)
        if await asyncio.to_thread(os.path.isdir, lpath):
            await make_directories(rpath, self.kept_driver.keep())
        else:
            await self._copied(_absolute(lpath), rpath, callback, exclusive=mode == "create")

    async def _cp_file(self, path1: str, path2: str, **_: Any) -> None:
        path1, path2 = self._strip_protocol(path1), self._strip_protocol(path2)
        if await self._isdir(path1):
            await make_directories(path2, self.kept_driver.keep())
        else:
            await self._copied(path1, path2, None)

    async def _copied(
        self, source: str, target: str, callback: Any, *, exclusive: bool = False
    ) -> None:
        count = await put_copy(source, target, self.kept_driver.keep(), exclusive=exclusive)
        if callback is not None:
            callback.set_size(count)
            callback.absolute_update(count)

    async def _mv(
        self, path1: str, path2: str, recursive: bool = False, maxdepth: int | None = None, **_: Any
    ) -> None:
        """Rename; onto another file system, copy and remove."""
        into = trailing_sep(os.fspath(path2)) or await self._isdir(path2)
        source, target = self._strip_protocol(path1), self._strip_protocol(path2)
        if source == target:
            return
        if into:
            target = os.path.join(target, os.path.basename(source))
        driver = self.kept_driver.keep()
        await make_directories(os.path.dirname(target), driver)
        try:
            await asyncuring.rename(source, target, driver=driver)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            await self._copy(path1, path2, recursive=recursive, maxdepth=maxdepth, on_error="raise")
            await self._rm(source, recursive=recursive)

    def mv(self, path1: str, path2: str, *args: Any, **options: Any) -> None:
        """Give a file or directory another name."""
        sync(self.loop, self._mv, path1, path2, *args, **options)

    # -- directories

    async def _mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:
        path, driver = self._strip_protocol(path), self.kept_driver.keep()
        if create_parents:
            await make_directories(os.path.dirname(path), driver)
        await asyncuring.mkdir(path, driver=driver)

    async def _makedirs(self, path: str, exist_ok: bool = False) -> None:
        path = self._strip_protocol(path)
        if not exist_ok:
            await self._mkdir(path)
        else:
            await make_directories(path, self.kept_driver.keep())

    async def _rmdir(self, path: str) -> None:
        await asyncuring.rmdir(self._strip_protocol(path), driver=self.kept_driver.keep())

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""
        sync(self.loop, self._rmdir, path)

    async def _rm_file(self, path: str, **_: Any) -> None:
        await asyncuring.unlink(self._strip_protocol(path), driver=self.kept_driver.keep())

    async def _rm(
        self,
        path: Any,
        recursive: bool = False,
        batch_size: int | None = None,
        maxdepth: int | None = None,
        **_: Any,
    ) -> None:
        """Remove files, and directories if `recursive`; never what a symbolic link leads to."""
        if maxdepth is not None:
            message = "maxdepth is not supported: remove what find(maxdepth=…) gives"
            raise NotImplementedError(message)
        await _run_coros_in_chunks(
            [self._remove(one, recursive) for one in await self._expand_path(path)],
            batch_size=batch_size or self.batch_size,
        )

    async def _remove(self, path: str, recursive: bool) -> None:
        try:
            await self._rm_file(path)
        except IsADirectoryError:
            if not recursive:
                message = f"{path} is a directory: it takes recursive=True to remove one"
                raise ValueError(message) from None
            await asyncio.to_thread(shutil.rmtree, path)

    # -- what is there: looked up by a thread, for io_uring has no such operation on names

    async def _info(self, path: str, **_: Any) -> dict[str, Any]:
        found: dict[str, Any] = await asyncio.to_thread(
            self._local.info, self._strip_protocol(path)
        )
        return found

    async def _ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        found: list[Any] = await asyncio.to_thread(
            self._local.ls, self._strip_protocol(path), detail=detail
        )
        names = (one["name"] if detail else one for one in found)
        return [
            one
            for one, name in zip(found, names)  # noqa: B905  one for each
            if not is_draft(os.path.basename(name))
        ]

    def created(self, path: str) -> dt.datetime:
        """Return when a file's status last changed, which is the nearest that Linux tells."""
        return _moment(self.info(path)["created"])

    def modified(self, path: str) -> dt.datetime:
        """Return when a file's content last changed."""
        return _moment(self.info(path)["mtime"])

    # -- file objects

    def _open(self, path: str, mode: str = "rb", **options: Any) -> UringBufferedFile:
        return UringBufferedFile(self, self._strip_protocol(path), mode, **options)

    async def open_async(
        self, path: str, mode: str = "rb", **options: Any
    ) -> AbstractAsyncStreamedFile:
        """Open a file for tasks: "rb", "wb" or "xb"; its methods are to be awaited."""
        if "b" not in mode or options.pop("compression", None):
            message = "open_async has binary modes, and no compression"
            raise ValueError(message)
        file = StreamedFile(self, self._strip_protocol(path), mode, **options)
        await file.begin()
        return file


def _one_for_each(given: Any, paths: Sequence[str]) -> Sequence[int | None]:
    if not isinstance(given, Iterable):
        return [given] * len(paths)
    listed = list(given)
    if len(listed) != len(paths):
        message = f"{len(listed)} bounds for {len(paths)} paths"
        raise ValueError(message)
    return listed


def _within(size: int, start: int | None, end: int | None) -> tuple[int, int]:
    """Return a range as slices have it, negative bounds from the end, within a file."""
    begin, stop, _ = slice(start, end).indices(size)
    return begin, stop


def _absolute(lpath: str | os.PathLike[str]) -> str:
    """Return where a name of a file beside this file system leads, without asking the kernel."""
    return os.path.abspath(os.fspath(lpath))


def _moment(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, tz=dt.timezone.utc)
