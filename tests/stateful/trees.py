"""One directory three times: what the library changes, what the system does, and a model."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, TypeAlias

import asyncuring
from tests.stateful.files import ModelFile

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName

# linux/fs.h, fcntl.h
RENAME_NOREPLACE, RENAME_EXCHANGE, AT_FDCWD = 1, 2, -100

_libc = ctypes.CDLL(None, use_errno=True)

Look: TypeAlias = dict[str, bytes | None]
"""Contents by name; None for a directory."""


def look(root: Path) -> Look:
    """All there is below `root`."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes() if path.is_file() else None
        for path in root.rglob("*")
    }


def inodes(root: Path) -> dict[str, int]:
    """What each name below `root` stands for."""
    return {path.relative_to(root).as_posix(): path.stat().st_ino for path in root.rglob("*")}


class OurTree:
    """Changed through the library."""

    def __init__(self, root: Path, driver: DriverName) -> None:
        self.root = root
        self.driver = driver

    async def unlink(self, name: str) -> None:
        await asyncuring.unlink(self.root / name, driver=self.driver)

    async def mkdir(self, name: str) -> None:
        await asyncuring.mkdir(self.root / name, driver=self.driver)

    async def rmdir(self, name: str) -> None:
        await asyncuring.rmdir(self.root / name, driver=self.driver)

    async def link(self, source: str, target: str) -> None:
        await asyncuring.link(self.root / source, self.root / target, driver=self.driver)

    async def rename(self, source: str, target: str) -> None:
        await asyncuring.rename(self.root / source, self.root / target, driver=self.driver)

    async def rename_to_new(self, source: str, target: str) -> None:
        paths = self.root / source, self.root / target
        await asyncuring.rename(*paths, replace=False, driver=self.driver)

    async def exchange(self, source: str, target: str) -> None:
        paths = self.root / source, self.root / target
        await asyncuring.rename(*paths, exchange=True, driver=self.driver)

    async def replace_file(self, name: str, data: bytes) -> None:
        await asyncuring.replace_file(self.root / name, data, driver=self.driver)


class SystemTree:
    """Changed by system calls."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def unlink(self, name: str) -> None:
        (self.root / name).unlink()

    def mkdir(self, name: str) -> None:
        (self.root / name).mkdir()

    def rmdir(self, name: str) -> None:
        (self.root / name).rmdir()

    def link(self, source: str, target: str) -> None:
        os.link(self.root / source, self.root / target)

    def rename(self, source: str, target: str) -> None:
        (self.root / source).rename(self.root / target)

    def _rename(self, source: str, target: str, flags: int) -> None:
        paths = (os.fsencode(self.root / name) for name in (source, target))
        first, second = paths
        if _libc.renameat2(AT_FDCWD, first, AT_FDCWD, second, flags) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def rename_to_new(self, source: str, target: str) -> None:
        self._rename(source, target, RENAME_NOREPLACE)

    def exchange(self, source: str, target: str) -> None:
        self._rename(source, target, RENAME_EXCHANGE)

    def replace_file(self, name: str, data: bytes) -> None:
        path = self.root / name
        temporary = path.with_name("temporary")
        temporary.write_bytes(data)
        try:
            temporary.rename(path)
        except OSError:
            temporary.unlink()
            raise


class ModelTree:
    """Names in a dictionary. Asked only for what the system can do."""

    def __init__(self) -> None:
        self.names: dict[str, ModelFile | None] = {}  # None: a directory

    def look(self) -> Look:
        return {
            name: None if file is None else bytes(file.content) for name, file in self.names.items()
        }

    def open(self, name: str, empty: bool) -> ModelFile:
        """The file of that name, which is created if need be."""
        file = self.names.get(name)
        if file is None:
            file = ModelFile()
            self._give(name, file)
        if empty:
            file.content.clear()
        return file

    def unlink(self, name: str) -> None:
        self._take(name)

    def mkdir(self, name: str) -> None:
        self.names[name] = None

    def rmdir(self, name: str) -> None:
        del self.names[name]

    def link(self, source: str, target: str) -> None:
        self._give(target, self.names[source])

    def rename(self, source: str, target: str) -> None:
        file = self.names[source]
        if source == target or (file is not None and self.names.get(target) is file):
            return  # two names of one file: rename(2) does nothing
        if target in self.names:
            self._take(target)
        self._give(target, self._take(source))
        self._move_below(source, target)

    rename_to_new = rename

    def exchange(self, source: str, target: str) -> None:
        if source == target:
            return
        for old, new in ((source, "aside"), (target, source), ("aside", target)):
            self._give(new, self._take(old))
            self._move_below(old, new)

    def replace_file(self, name: str, data: bytes) -> None:
        if name in self.names:
            self._take(name)
        file = ModelFile()
        file.content[:] = data
        self._give(name, file)

    def _take(self, name: str) -> ModelFile | None:
        file = self.names.pop(name)
        if file is not None:
            file.nlink -= 1
        return file

    def _give(self, name: str, file: ModelFile | None) -> None:
        self.names[name] = file
        if file is not None:
            file.nlink += 1

    def _move_below(self, source: str, target: str) -> None:
        for name in [name for name in self.names if name.startswith(f"{source}/")]:
            self.names[target + name[len(source) :]] = self.names.pop(name)
