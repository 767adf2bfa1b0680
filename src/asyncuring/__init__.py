"""Async file IO for storage engines: positional reads and writes on io_uring.

`open_file` opens a file; `await uring_file.read_at(buf, off)` reads into a buffer of yours, from
asyncio, uvloop and trio tasks. A background thread in C owns the io_uring and serves every event
loop of the process; where io_uring is forbidden, native threads do the same behind the same queue.

An await never ends while the kernel can still touch its buffer.
"""

from ._appending import AppendingFile
from ._buffers import BufferPool
from ._chain import Chain, Step
from ._errors import (
    ClosedFileError,
    ClosedPoolError,
    DriverUnavailableError,
    EndOfFileError,
    ForkedProcessError,
)
from ._file import UringFile
from ._file_calls import Advice
from ._file_status import AtomicWrites, DirectIOAlignment, FileStatus
from ._group_commit import GroupCommit, GroupStatistics
from ._handle import CachedReads
from ._histogram import Histogram
from ._io_class import IoClass
from ._names import link, mkdir, rename, rmdir, symlink, sync_directory, unlink
from ._opening import Mode, open_file
from ._pool_statistics import PoolRegistration, PoolStatistics
from ._replacing import replace_file
from ._runtime import DriverChoice, DriverName
from ._slow_ops import log_slow_ops
from ._statistics import (
    DriverStatistics,
    OperationStatistics,
    RouteStatistics,
    Statistics,
    statistics,
)

__version__ = "0.1.0"

__all__ = [
    "Advice",
    "AppendingFile",
    "AtomicWrites",
    "BufferPool",
    "CachedReads",
    "Chain",
    "ClosedFileError",
    "ClosedPoolError",
    "DirectIOAlignment",
    "DriverChoice",
    "DriverName",
    "DriverStatistics",
    "DriverUnavailableError",
    "EndOfFileError",
    "FileStatus",
    "ForkedProcessError",
    "GroupCommit",
    "GroupStatistics",
    "Histogram",
    "IoClass",
    "Mode",
    "OperationStatistics",
    "PoolRegistration",
    "PoolStatistics",
    "RouteStatistics",
    "Statistics",
    "Step",
    "UringFile",
    "link",
    "log_slow_ops",
    "mkdir",
    "open_file",
    "rename",
    "replace_file",
    "rmdir",
    "statistics",
    "symlink",
    "sync_directory",
    "unlink",
]
