"""What the kernel itself answers for a file, so that tests know what its file system can do."""

from __future__ import annotations

import errno
import mmap
import os
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def _answer(path: Path, flags: int, off: int, read_flags: int) -> int:
    """The errno of a read of a page of `path`; 0 if it can be read so."""
    fd = os.open(path, os.O_RDONLY | flags)
    try:
        with closing(mmap.mmap(-1, 4096)) as page:
            os.preadv(fd, [page], off, read_flags)
    except OSError as error:
        return error.errno or 0
    finally:
        os.close(fd)
    return 0


def insists_on_alignment(path: Path) -> bool:
    """Whether direct IO refuses what is not aligned; btrfs and tmpfs go through the cache then."""
    return _answer(path, os.O_DIRECT, 17, 0) == errno.EINVAL


def knows_what_would_wait(path: Path) -> bool:
    """Whether reads can ask not to wait (RWF_NOWAIT); tmpfs does not know."""
    return _answer(path, 0, 0, os.RWF_NOWAIT) != errno.EOPNOTSUPP
