"""What trials take of memory, open files and threads, and whether this process may have it.

Limits that a process may raise for itself are raised; the trials inherit them.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING

from asyncuring.benchmark.engines import ENGINES
from asyncuring.benchmark.refusal import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from asyncuring.benchmark.sweep import Sweep

MIB = 1 << 20

OPEN_FILES_RESERVE = 64
"""Python's own, the loops', and those of the drivers."""

THREADS_RESERVE = 64
"""Of the pools, and of who else works here meanwhile."""

CGROUP_MEMORY = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)
CGROUP_THREADS = (
    ("/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids.current"),
    ("/sys/fs/cgroup/pids/pids.max", "/sys/fs/cgroup/pids/pids.current"),
)


def raise_limits(sweeps: Sequence[Sweep]) -> list[str]:
    """Refuse trials that would not fit; return what was raised for those that do, in sentences."""
    for sweep in sweeps:
        _refuse_memory(sweep)
        _refuse_threads(sweep)
    return _raise_open_files(max(map(_open_files, sweeps)))


def _refuse_memory(sweep: Sweep) -> None:
    memory = _memory()
    if memory is None:
        return
    clients = max(sweep.clients) + max(sweep.background)
    buffers = clients * sweep.pipeline * sweep.batch * sweep.block_size
    if buffers > memory:
        raise RefusalError(
            f"{clients} clients need {buffers // MIB} MiB for their buffers,"
            f" of {memory // MIB} MiB; ask for fewer --clients or a smaller --block-size"
        )
    if not sweep.direct and sweep.file_size + buffers > memory:
        raise RefusalError(
            f"--file-size is {sweep.file_size // MIB} MiB, more than {memory // MIB} MiB of memory"
            " can cache; choose a smaller one, or --direct"
        )


def _memory() -> int | None:
    """Return the bytes of memory that this process may use; None where nobody can tell."""
    known = [
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        *(_number(path) for path in CGROUP_MEMORY),
    ]
    return min((number for number in known if number is not None and number > 0), default=None)


def _open_files(sweep: Sweep) -> int:
    return OPEN_FILES_RESERVE + 8 * sweep.loops_per_trial


def _raise_open_files(needed: int) -> list[str]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return []
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise RefusalError(
            f"the trials need {needed} open files, the limit is {hard};"
            f" raise it as root with: ulimit -n {needed}"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return [f"note: raised the limit of open files from {soft} to {needed}"]


def _refuse_threads(sweep: Sweep) -> None:
    if not any(ENGINES[name].open_sync for name in sweep.engines):
        return
    threads = max(sweep.clients) * sweep.pipeline + THREADS_RESERVE
    for free, remedy in _free_threads():
        if threads > free:
            raise RefusalError(
                f"{max(sweep.clients)} blocking clients need {threads} threads, {max(free, 0)} are"
                f" to be had; {remedy}, or leave out the engines whose clients are threads"
            )


def _free_threads() -> Iterable[tuple[int, str]]:
    """Return how many threads each limit leaves, and what raises it."""
    if os.geteuid() != 0:
        # Root is exempt.
        soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NPROC, (hard, hard))
        if hard != resource.RLIM_INFINITY:
            yield hard - _own_threads(), "raise `ulimit -u`"
    most = _number("/proc/sys/kernel/threads-max")
    if most is not None:
        now = int(Path("/proc/loadavg").read_text(encoding="ascii").split()[3].split("/")[1])
        yield most - now, "raise kernel.threads-max"
    for limit, current in CGROUP_THREADS:
        most, now_there = _number(limit), _number(current)
        if most is not None and now_there is not None:
            yield most - now_there, "raise the container's limit of processes"


def _own_threads() -> int:
    """Return how many threads the user of this process has."""
    return sum(map(_threads_of, Path("/proc").glob("[0-9]*")))


def _threads_of(process: Path) -> int:
    try:
        own = process.stat().st_uid == os.geteuid()
        return len(list((process / "task").iterdir())) if own else 0
    except OSError:
        # It ended meanwhile.
        return 0


def _number(path: str) -> int | None:
    """Return the number in a file of the kernel's; None if there is none."""
    try:
        return int(Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
