"""How one read or write is to be done: the RWF_* flags of preadv2(2). Knows nothing of ours."""

from __future__ import annotations

__all__ = ["ATOMIC", "DONTCACHE", "DURABLE", "NOWAIT", "lack_of"]

# linux/fs.h
DURABLE = 0x02  # RWF_DSYNC
NOWAIT = 0x08
ATOMIC = 0x40
DONTCACHE = 0x80

_LACKS = {
    DURABLE: "durable=True (RWF_DSYNC) wants Linux 4.7",
    NOWAIT: "nowait=True (RWF_NOWAIT) wants Linux 4.14 and a file that can say what would wait",
    ATOMIC: (
        "atomic=True (RWF_ATOMIC) wants Linux 6.11, a file opened with direct=True, and a file "
        "system and a device that write untorn (see atomic_writes of stat())"
    ),
    DONTCACHE: (
        "dontcache=True (RWF_DONTCACHE) wants Linux 6.14 and a file system that has it "
        "(ext4 and xfs have it)"
    ),
}


def lack_of(flags: int) -> str:
    """Say what may be missing, where the kernel does not support all of `flags`."""
    return "; ".join(lack for flag, lack in _LACKS.items() if flags & flag)
