"""Which file systems are FUSE's: their files keep a ring waiting.

A ring asks a file not to wait, and one that cannot tell whether it would wait goes to one of the
kernel's workers. Of FUSE's files the kernel believes that they can tell, for they can be polled
(io_uring/rw.c, io_file_supports_nowait(); seen on 6.18); and then a read or write waits for the
file system's program, and with it the ring's thread and all who use it.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["is_fuse"]

_TYPES = ("fuse", "fuseblk", "virtiofs")


def is_fuse(device: int) -> bool:
    """Whether FUSE has the file system whose files have this st_dev (stat(2)).

    From proc_pid_mountinfo(5), for that asks no file system anything; False if it does not say.
    """
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:  # no Linux, or /proc is not there
        return False
    number = f"{os.major(device)}:{os.minor(device)}".encode()
    for line in lines:
        fields = line.split(b" ")
        if fields[2] == number:
            kind = fields[fields.index(b"-", 6) + 1].decode()
            return kind.split(".")[0] in _TYPES
    return False
