"""What statx(2) tells of a file, as a value. Knows no event loop, no driver and no C."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

__all__ = ["STATX_FIELDS", "STATX_SIZE", "AtomicWrites", "DirectIOAlignment", "FileStatus"]

# linux/stat.h: STATX_BASIC_STATS, STATX_BTIME, STATX_DIOALIGN (6.1), STATX_WRITE_ATOMIC (6.11)
_BTIME, _DIOALIGN, _WRITE_ATOMIC = 0x800, 0x2000, 0x10000
STATX_FIELDS = 0x7FF | _BTIME | _DIOALIGN | _WRITE_ATOMIC

# struct statx: mask to attributes, nlink to mode, ino to attributes_mask; four times; two devices,
# mnt_id, dio_mem_align and dio_offset_align; subvol, atomic_write_unit_min to …segments_max.
STATX_SIZE = 256
_STATX = struct.Struct("=2IQ 3IH2x 4Q qI4xqI4xqI4xqI4x 4IQ2I Q3I")


@dataclass(frozen=True)
class DirectIOAlignment:
    """What direct IO (`open_file(..., direct=True)`) wants of a file's operations, in bytes.

    Attributes:
        memory: buffers begin at multiples of it.
        offset: offsets and lengths are multiples of it.
    """

    memory: int
    offset: int


@dataclass(frozen=True)
class AtomicWrites:
    """What a file can write untorn (`write_at(..., atomic=True)`).

    Attributes:
        minimum: bytes of the shortest such write; a power of two, as all lengths are.
        maximum: bytes of the longest.
        segments: the most buffers of such a `writev_at`.
    """

    minimum: int
    maximum: int
    segments: int


@dataclass(frozen=True)
class FileStatus:
    """What is known of a file.

    Attributes:
        size: in bytes.
        blocks: how many blocks of 512 bytes are allocated for it; less than `size` where it has
            holes.
        mode: type and permissions, as the functions of the module `stat` take them.
        uid: its owner.
        gid: its group.
        inode: its number in the file system.
        device: the file system's, as `st_dev` of `os.stat`.
        nlink: how many names it has.
        atime_ns: when it was last read, in nanoseconds since 1970 (mount options permitting).
        mtime_ns: when its content last changed.
        ctime_ns: when its content or its metadata last changed.
        btime_ns: when it was created; None if the file system does not know.
        direct_io_alignment: None if nobody can tell (before Linux 6.1; file systems without direct
            IO, and some with it: btrfs).
        atomic_writes: None if it has none (before Linux 6.11; most devices).
    """

    size: int
    blocks: int
    mode: int
    uid: int
    gid: int
    inode: int
    device: int
    nlink: int
    atime_ns: int
    mtime_ns: int
    ctime_ns: int
    btime_ns: int | None
    direct_io_alignment: DirectIOAlignment | None
    atomic_writes: AtomicWrites | None

    @classmethod
    def from_statx(cls, filled: bytes | bytearray) -> FileStatus:
        """Read a struct statx."""
        fields = _STATX.unpack_from(filled)
        mask, _, _, nlink, uid, gid, mode, inode, size, blocks, _ = fields[:11]
        atime_ns, btime_ns, ctime_ns, mtime_ns = (
            seconds * 1_000_000_000 + nanoseconds
            for seconds, nanoseconds in zip(fields[11:19:2], fields[12:19:2])  # noqa: B905  four
        )
        _, _, major, minor, _, memory, offset, _, minimum, maximum, segments = fields[19:]
        direct = mask & _DIOALIGN and offset > 0
        atomic = mask & _WRITE_ATOMIC and maximum > 0
        return cls(
            size=size,
            blocks=blocks,
            mode=mode,
            uid=uid,
            gid=gid,
            inode=inode,
            device=os.makedev(major, minor),
            nlink=nlink,
            atime_ns=atime_ns,
            mtime_ns=mtime_ns,
            ctime_ns=ctime_ns,
            btime_ns=btime_ns if mask & _BTIME else None,
            direct_io_alignment=DirectIOAlignment(memory, offset) if direct else None,
            atomic_writes=AtomicWrites(minimum, maximum, segments) if atomic else None,
        )
