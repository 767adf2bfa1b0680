"""What a client asks for again and again, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import mmap
    from collections.abc import Awaitable, Callable
    from typing import Any

    AsyncAt = Callable[[mmap.mmap, int], Awaitable[int]]
    SyncAt = Callable[[mmap.mmap, int], int]
    """Read or write one block at a byte offset, in the client's buffer; return the count."""
    Requests = list[tuple[mmap.mmap, int]]
    AsyncMany = Callable[[Requests], Awaitable[list[Any]]]
    """Read one block per request; return one count (or an OSError) per request."""
    AsyncOp = AsyncAt | AsyncMany
    SyncOp = SyncAt

READ = "read"
WRITE = "write"
READ_MANY = "read-many"

WORKLOADS = {
    READ: "random reads, one block per await",
    WRITE: "random overwrites, one block per await",
    READ_MANY: "random reads, a batch of blocks per await",
}
