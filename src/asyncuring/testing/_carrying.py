"""Carrying ops out: what the running program sees is the system's work, what it leaves the model's.

Each method makes the system call, and tells the model what was changed. Python raises what fails.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _system as system
from ._names import Directory
from ._sectors import SimulatedFile
from ._volume import Volume, path_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from ._names import Node
    from ._volume import Place

__all__ = ["Carrying", "first_bytes"]

_AT_REMOVEDIR, _AT_SYMLINK_FOLLOW = 0x200, 0x400
_RENAME_EXCHANGE = 2
_RWF_DSYNC = 0x02
# linux/falloc.h
_KEEP_SIZE, _PUNCH_HOLE, _COLLAPSE_RANGE, _ZERO_RANGE, _INSERT_RANGE = 0x01, 0x02, 0x08, 0x10, 0x20

# Zeros up to here are written, for then parts of them can be lost; more are one step.
_ZEROS_MAX = 1024 * 1024


@dataclass
class Opened:
    """A descriptor: what it is of, if that is on the disk; the path, as traces show it."""

    node: Node | None
    shown: str
    appends: bool


class Carrying:
    """The ops of one disk. Each takes a request (see `_drivers.requests.Request`)."""

    def __init__(self, volume: Volume, random: Random) -> None:
        """Carry out ops on files in `volume`, and elsewhere."""
        self._volume = volume
        self._random = random
        self._opened: dict[int, Opened] = {}

    def shown(self, request: Any) -> str:
        """Return the path that a request is about, as traces show it."""
        call = request.call
        opened = self._opened.get(request.fd)
        if call is None or not call.path:
            return opened.shown if opened else ""
        if request.name == "symlink":
            return self._place(call.second_fd, call.second_path).shown
        shown = self._place(request.fd, call.path).shown
        if call.second_path:
            shown += " -> " + self._place(call.second_fd, call.second_path).shown
        return shown

    def file(self, fd: int) -> SimulatedFile | None:
        """Return the file on the disk that `fd` is of, if it is, with its content known."""
        opened = self._opened.get(fd)
        if opened is None or not isinstance(opened.node, SimulatedFile):
            return None
        self._volume.know(opened.node, f"/proc/self/fd/{fd}")
        return opened.node

    def _place(self, fd: int, path: bytes) -> Place:
        return self._volume.place(fd if fd >= 0 else system.AT_FDCWD, path)

    # -- content

    def read(self, request: Any) -> int | None:
        """preadv2(2)."""
        return system.read(request.fd, request.buffers, request.offset, request.flags)

    def write(self, request: Any, media: str = "") -> int | None:
        """pwritev2(2). media: "lose" or "misdirect" what they get."""
        file = self.file(request.fd)
        count = system.write(request.fd, request.buffers, request.offset, request.flags)
        if file is None or not count:
            return count
        offset = request.offset
        if self._opened[request.fd].appends:
            offset = os.fstat(request.fd).st_size - count
        data = b"".join(request.buffers)[:count]
        if media:
            file.write_cache_alone(offset, data)
            if media == "misdirect":
                elsewhere = self._elsewhere(file, offset)
                file.write_media_alone(self._volume.next_number(), elsewhere, data)
            return count
        change = file.write(self._volume.next_number(), offset, data)
        if request.flags & _RWF_DSYNC:
            file.sync_write(change)
        return count

    def _elsewhere(self, file: SimulatedFile, offset: int) -> int:
        size = file.now.sector_size
        elsewhere = self._random.randrange(file.now.size // size + 1) * size + offset % size
        return elsewhere if elsewhere != offset else offset + size

    def write_under_way(self, request: Any) -> None:
        """Let the media have what the power cut keeps from being done; they may lose it again."""
        file = self.file(request.fd)
        data = b"".join(request.buffers)
        if file is not None and data:
            appends = self._opened[request.fd].appends
            offset = file.now.size if appends else request.offset
            file.write(self._volume.next_number(), offset, data)

    def rot(self, request: Any) -> None:
        """Flip a bit of what is going to be read, in the cache and on the media."""
        file = self.file(request.fd)
        if file is None:
            return
        end = min(request.offset + request.length, file.now.size)
        if request.offset < end:
            offset, bit = self._random.randrange(request.offset, end), self._random.randrange(8)
            byte = file.flip(offset, bit)
            fd = os.open(f"/proc/self/fd/{request.fd}", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.pwrite(fd, byte, offset)
            finally:
                os.close(fd)

    def sync(self, request: Any, up_to: int) -> int:
        """fsync(2) or fdatasync(2), of the changes with a number below `up_to`."""
        opened = self._opened.get(request.fd)
        node = opened.node if opened else None
        if isinstance(node, SimulatedFile):
            node.sync(up_to)
        elif isinstance(node, Directory):
            self._volume.names.sync(node, up_to)
        else:
            os.fsync(request.fd)
        return 0

    def fail_to_sync(self, request: Any, up_to: int) -> None:
        """Do what Linux does: the pages count as clean from now on, and stay in the cache."""
        opened = self._opened.get(request.fd)
        if opened is not None and isinstance(opened.node, SimulatedFile):
            opened.node.forget_writes(up_to)

    # -- size and room

    def ftruncate(self, request: Any) -> int:
        """ftruncate(2)."""
        file = self.file(request.fd)
        os.ftruncate(request.fd, request.length)
        if file is not None and file.now.size != request.length:
            file.resize(self._volume.next_number(), request.length)
        return 0

    def fallocate(self, request: Any) -> int:
        """fallocate(2)."""
        fd, flags, offset, length = request.fd, request.flags, request.offset, request.length
        file = self.file(fd)
        system.fallocate(fd, flags, offset, length)
        if file is None:
            return 0
        size = os.fstat(fd).st_size
        if flags & (_COLLAPSE_RANGE | _INSERT_RANGE):
            by = -length if flags & _COLLAPSE_RANGE else length
            file.replace(self._volume.next_number(), file.now.moved(offset, by))
            return 0
        if size != file.now.size:
            file.resize(self._volume.next_number(), size)
        if flags & (_PUNCH_HOLE | _ZERO_RANGE):
            self._zero(file, offset, min(length, size - offset))
        return 0

    def _zero(self, file: SimulatedFile, offset: int, length: int) -> None:
        if 0 < length <= _ZEROS_MAX:
            file.write(self._volume.next_number(), offset, bytes(length))
        elif length > 0:
            file.replace(self._volume.next_number(), file.now.zeroed(offset, length))

    def copy_range(self, request: Any) -> int:
        """copy_file_range(2)."""
        call = request.call
        file = self.file(call.second_fd)
        places = call.offset, call.second_offset
        count = os.copy_file_range(request.fd, call.second_fd, call.length, *places)
        if file is not None and count:
            data = os.pread(request.fd, count, call.offset)
            file.write(self._volume.next_number(), call.second_offset, data)
        return count

    # -- what leaves nothing

    def nop(self, request: Any) -> int:  # noqa: ARG002  as all others
        """Nothing."""
        return 0

    def statx(self, request: Any) -> int:
        """statx(2)."""
        call = request.call
        fd = request.fd if request.fd >= 0 else system.AT_FDCWD
        return system.statx(fd, call.path, call.flags, call.mode, call.result)

    def sync_range(self, request: Any) -> int:
        """sync_file_range(2), which makes nothing durable."""
        return system.sync_range(request.fd, request.offset, request.length, request.flags)

    def fadvise(self, request: Any) -> int:
        """posix_fadvise(2)."""
        os.posix_fadvise(request.fd, request.offset, request.length, request.flags)
        return 0

    def lock(self, request: Any) -> int:
        """fcntl(2), F_OFD_SETLK."""
        return system.lock(request.fd, request.flags, request.offset, request.length)

    # -- names

    def open(self, request: Any) -> int:
        """openat2(2)."""
        call = request.call
        directory = request.fd if request.fd >= 0 else system.AT_FDCWD
        is_new = call.flags & os.O_CREAT and not _exists(directory, call.path)
        # It is emptied here, when what it held is known.
        flags = call.flags & ~os.O_TRUNC
        fd = system.open_without_waiting(directory, call.path, flags, call.mode, call.resolve)
        try:
            self._note_opened(fd, call.flags, bool(is_new))
        except BaseException:
            os.close(fd)
            self._opened.pop(fd, None)
            raise
        return fd

    def _note_opened(self, fd: int, flags: int, is_new: bool) -> None:
        place = self._volume.place_in(*os.path.split(path_of(fd)))
        if is_new and place.directory is not None:
            node: Node | None = self._volume.new_file(place, fd)
        else:
            node = self._volume.node(place)
        self._opened[fd] = Opened(node, place.shown, bool(flags & os.O_APPEND))
        if flags & os.O_TRUNC and not is_new and stat.S_ISREG(os.fstat(fd).st_mode):
            file = self.file(fd)
            os.ftruncate(fd, 0)
            if file is not None and file.now.size:
                file.resize(self._volume.next_number(), 0)

    def close(self, request: Any) -> int:
        """close(2)."""
        self._opened.pop(request.fd, None)
        os.close(request.fd)
        return 0

    def unlink(self, request: Any) -> int:
        """unlinkat(2)."""
        call = request.call
        directory = request.fd if request.fd >= 0 else system.AT_FDCWD
        place = self._place(request.fd, call.path)
        self._know(place)
        if call.flags & _AT_REMOVEDIR:
            os.rmdir(call.path, dir_fd=directory)
        else:
            os.unlink(call.path, dir_fd=directory)
        self._change(f"remove {place.shown}", (place, None))
        return 0

    def mkdir(self, request: Any) -> int:
        """mkdirat(2)."""
        call = request.call
        directory = request.fd if request.fd >= 0 else system.AT_FDCWD
        place = self._place(request.fd, call.path)
        os.mkdir(call.path, call.mode, dir_fd=directory)
        self._change(f"mkdir {place.shown}", (place, Directory(os.lstat(place.real).st_mode)))
        return 0

    def rename(self, request: Any) -> int:
        """renameat2(2)."""
        call = request.call
        source, target = self._place(request.fd, call.path), self._second(call)
        moved, replaced = self._know(source), self._know(target)
        fds = [fd if fd >= 0 else system.AT_FDCWD for fd in (request.fd, call.second_fd)]
        system.renameat(fds[0], call.path, fds[1], call.second_path, call.flags)
        if moved is replaced and moved is not None:
            return 0  # two names of one file: rename(2) does nothing
        moved = moved or self._arrived(target)
        left = replaced or self._arrived(source) if call.flags & _RENAME_EXCHANGE else None
        self._change(f"rename {source.shown} to {target.shown}", (source, left), (target, moved))
        return 0

    def link(self, request: Any) -> int:
        """linkat(2)."""
        call = request.call
        source, target = self._place(request.fd, call.path), self._second(call)
        node = self._know(source)
        fds = [fd if fd >= 0 else system.AT_FDCWD for fd in (request.fd, call.second_fd)]
        os.link(
            call.path,
            call.second_path,
            src_dir_fd=fds[0],
            dst_dir_fd=fds[1],
            follow_symlinks=bool(call.flags & _AT_SYMLINK_FOLLOW),
        )
        self._change(f"link {source.shown} to {target.shown}", (target, node))
        return 0

    def symlink(self, request: Any) -> int:
        """symlinkat(2)."""
        call = request.call
        target = self._second(call)
        directory = call.second_fd if call.second_fd >= 0 else system.AT_FDCWD
        os.symlink(call.path, call.second_path, dir_fd=directory)
        self._change(f"symlink {target.shown}", (target, self._volume.come_across(target.real)))
        return 0

    def _second(self, call: Any) -> Place:
        return self._place(call.second_fd, call.second_path)

    def _know(self, place: Place) -> Node | None:
        """Return what a name stands for, with its content known: it may be gone in a moment."""
        node = self._volume.node(place)
        if isinstance(node, SimulatedFile):
            self._volume.know(node, place.real)
        return node

    def _arrived(self, place: Place) -> Node | None:
        """Return a node for what came from outside of the disk."""
        node = self._volume.come_across(place.real)
        if isinstance(node, SimulatedFile):
            self._volume.know(node, place.real)
        return node

    def _change(self, what: str, *edits: tuple[Place, Node | None]) -> None:
        inside = [
            (place.directory, place.name, node)
            for place, node in edits
            if place.directory is not None
        ]
        if inside:
            self._volume.names.change(self._volume.next_number(), what, *inside)


def _exists(directory: int, path: bytes) -> bool:
    try:
        os.stat(path, dir_fd=directory)
    except OSError:
        return False
    return True


def first_bytes(buffers: Sequence[memoryview], length: int) -> list[memoryview]:
    """Return what of `buffers` holds the first `length` bytes of them."""
    found = []
    for buffer in buffers:
        found.append(buffer[: max(0, length)])
        length -= buffer.nbytes
    return found
