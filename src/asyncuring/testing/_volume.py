"""Where the folder of a simulated disk and the model of its media meet.

What a file or directory held when the disk first came across it counts as durable. What is done to
the folder by other means after that is not seen.
"""
# ruff: noqa: PTH109, PTH115, PTH118  at each op on names: pathlib's objects cost more than all else here

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from ._names import Directory, Names, SymbolicLink
from ._sectors import SimulatedFile
from ._system import AT_FDCWD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._names import Node

__all__ = ["Place", "Volume"]

_PIECE = 1024 * 1024  # read at once; a multiple of any sector


class Place(NamedTuple):
    """Where a path leads: its directory in the model, None outside of the disk; and its name.

    shown: the path as traces show it.
    """

    directory: Directory | None
    name: str
    real: str
    shown: str


class Volume:
    """The model of one folder.

    Attributes:
        folder: its path, without symbolic links.
        names: all that is in it, as far as it was come across.
        number: of the next change.
    """

    def __init__(self, folder: str, sector_size: int) -> None:
        """Begin with nothing come across."""
        self.folder = os.path.realpath(folder)
        self.names = Names(os.lstat(self.folder).st_mode)
        self.number = 1
        self._sector_size = sector_size
        self._linked: dict[tuple[int, int], SimulatedFile] = {}  # files with several names

    def next_number(self) -> int:
        """Return the number for a change."""
        self.number += 1
        return self.number - 1

    # -- paths

    def place(self, directory_fd: int, path: bytes) -> Place:
        """Find where `path` leads, which starts from a descriptor, or AT_FDCWD."""
        start = os.getcwd() if directory_fd == AT_FDCWD else path_of(directory_fd)
        parent, name = os.path.split(os.path.join(start, os.fsdecode(path).rstrip("/")))
        return self.place_in(os.path.realpath(parent), name)

    def place_in(self, parent: str, name: str) -> Place:
        """Find a name in the directory of that path, which holds no symbolic link."""
        real = os.path.join(parent, name)
        inside = f"{real}/".startswith(f"{self.folder}/")
        shown = os.path.relpath(real, self.folder) if inside else real
        directory = self._directory(parent) if name not in {"", ".", ".."} else None
        return Place(directory, name, real, shown)

    def _directory(self, real: str) -> Directory | None:
        if real == self.folder:
            return self.names.root
        if not real.startswith(f"{self.folder}/"):
            return None
        above, name = os.path.split(real)
        place = self.place_in(above, name)
        found = self.node(place)
        return found if isinstance(found, Directory) else None

    def node(self, place: Place) -> Node | None:
        """Return what a name stands for; None if it does for nothing, or lies outside."""
        directory = place.directory
        if directory is None:
            return self.names.root if place.real == self.folder else None
        node = directory.now.get(place.name)
        if node is None:
            node = self.come_across(place.real)
            if node is not None:
                directory.now[place.name] = node
                directory.durable.setdefault(place.name, node)
        return node

    def come_across(self, real: str) -> Node | None:
        """Return a node for what is there; None for nothing, and for what holds nothing."""
        try:
            status = os.lstat(real)
        except OSError:
            return None  # there is nothing; the kernel tells the program
        if stat.S_ISDIR(status.st_mode):
            return Directory(status.st_mode)
        if stat.S_ISLNK(status.st_mode):
            return SymbolicLink(os.readlink(real))
        if not stat.S_ISREG(status.st_mode):
            return None  # a FIFO or the like
        file = SimulatedFile(self._sector_size, status.st_mode)
        if status.st_nlink > 1:
            return self._linked.setdefault((status.st_dev, status.st_ino), file)
        return file

    def new_file(self, place: Place, fd: int) -> SimulatedFile:
        """Take note of a file that was created just now."""
        assert place.directory is not None
        file = SimulatedFile(self._sector_size, os.fstat(fd).st_mode)
        file.is_known = True
        edit = place.directory, place.name, file
        self.names.change(self.next_number(), f"create {place.shown}", edit)
        return file

    # -- contents

    def know(self, file: SimulatedFile, real: str) -> None:
        """Read what `file` holds, before it is changed for the first time."""
        if not file.is_known:
            fd = os.open(real, os.O_RDONLY | os.O_CLOEXEC)
            try:
                file.hold(os.fstat(fd).st_size, self._extents(fd))
            finally:
                os.close(fd)

    def _extents(self, fd: int) -> Iterator[tuple[int, bytes]]:
        end = 0
        size = os.fstat(fd).st_size
        while end < size:
            try:
                begin = os.lseek(fd, end, os.SEEK_DATA)
            except OSError:  # ENXIO: the rest is a hole
                return
            end = os.lseek(fd, begin, os.SEEK_HOLE)
            begin -= begin % self._sector_size
            for offset in range(begin, end, _PIECE):
                yield offset, os.pread(fd, min(_PIECE, end - offset), offset)

    def know_all(self) -> None:
        """Come across all there is in the folder, and read it."""
        for above, directories, files in os.walk(self.folder):
            for name in (*directories, *files):
                place = self.place_in(above, name)
                node = self.node(place)
                if isinstance(node, SimulatedFile):
                    self.know(node, place.real)

    def used(self) -> int:
        """Return how many bytes the files take."""
        files = (node for node in self.names.nodes() if isinstance(node, SimulatedFile))
        return sum(len(file.now.sectors) for file in files) * self._sector_size


def path_of(fd: int) -> str:
    """Return the path under which a descriptor was opened, without symbolic links."""
    return os.readlink(f"/proc/self/fd/{fd}")
