"""What trials take of memory, open files and threads, and whether this process may have it.

Limits that a process may raise for itself are raised; the trials inherit them.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING

from asyncuring.benchmark.engines import ENGINES
from asyncuring.benchmark.kernel_files import read_number, read_text
from asyncuring.benchmark.refusal import RefusalError
from asyncuring.benchmark.workload import PER_CLIENT, WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from asyncuring.benchmark.sweep import Sweep

MIB = 1 << 20

OPEN_FILES_RESERVE = 64
"""Python's own, the loops', and those of the drivers."""

THREADS_RESERVE = 64
"""Of the pools, and of who else works here meanwhile."""

CGROUPS = Path("/sys/fs/cgroup")


def raise_limits(sweeps: Sequence[Sweep]) -> list[str]:
    """Refuse trials that would not fit; return what was raised for those that do, in sentences."""
    for sweep in sweeps:
        _refuse_memory(sweep)
    threads = max(map(_threads, sweeps))
    if threads:
        _refuse_threads(threads)
    needed = {
        "open files": (resource.RLIMIT_NOFILE, max(map(_open_files, sweeps))),
        "processes and threads": (resource.RLIMIT_NPROC, threads and threads + _own_threads()),
    }
    notes = [_raise(what, limit, number) for what, (limit, number) in needed.items()]
    return [note for note in notes if note]


def _refuse_memory(sweep: Sweep) -> None:
    memory = _memory()
    if memory is None:
        return
    if sweep.memory_limit is not None:
        if sweep.memory_limit > memory:
            raise RefusalError(
                f"--memory-limit is {sweep.memory_limit // MIB} MiB, only {memory // MIB} MiB are"
                " to be had; choose a smaller one, and a smaller --file-size"
            )
        memory = sweep.memory_limit
    clients = max(sweep.clients) + max(sweep.background)
    buffers = clients * sweep.pipeline * sweep.batch * sweep.block_size
    if buffers > memory:
        raise RefusalError(
            f"{clients} clients need {buffers // MIB} MiB for their buffers, {memory // MIB} MiB"
            " are to be had; ask for fewer --clients or a smaller --block-size"
        )
    if sweep.direct or sweep.memory_limit is not None:
        return
    if sweep.file_size + buffers > memory:
        raise RefusalError(
            f"--file-size is {sweep.file_size // MIB} MiB, more than the {memory // MIB} MiB of"
            " memory that could cache it; choose a smaller one, --direct, or a --memory-limit"
        )


def _memory() -> int | None:
    """Return the bytes of memory that a trial may use; None where nobody can tell."""
    known = [
        _available(),
        *(read_number(group / "memory.max") for group in _own_groups("memory")),
        *(read_number(group / "memory.limit_in_bytes") for group in _own_groups("memory")),
    ]
    return min((number for number in known if number is not None), default=None)


def _available() -> int | None:
    """Return the bytes that are free, or would be if caches made room."""
    lines = (read_text("/proc/meminfo") or "").splitlines()
    facts = dict(line.split(":", maxsplit=1) for line in lines)
    return int(facts["MemAvailable"].removesuffix("kB")) << 10 if facts else None


def _own_groups(controller: str) -> list[Path]:
    """Return the cgroups that this process is in, outwards: each may have a limit."""
    groups = []
    for line in (read_text("/proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", maxsplit=2)
        if controller in controllers.split(",") or not controllers:
            # Version 2 has one tree for all of them.
            tree = CGROUPS / controller if controllers else CGROUPS
            own = tree / path.lstrip("/")
            groups += [own, *(group for group in own.parents if group.is_relative_to(tree))]
    return groups


def _open_files(sweep: Sweep) -> int:
    clients = max(sweep.clients) + max(sweep.background)
    own = sweep.files == PER_CLIENT or WORKLOADS[sweep.workload].small_files
    return OPEN_FILES_RESERVE + 8 * sweep.loops_per_trial + own * clients * sweep.pipeline


def _raise(what: str, limit: int, needed: int) -> str | None:
    """Raise the soft limit to what is needed, if it is lower; return a sentence about it."""
    soft, hard = resource.getrlimit(limit)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return None
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise RefusalError(
            f"the trials need {needed} {what}, the limit is {hard}; raise it as root, or in"
            " /etc/security/limits.conf"
        )
    resource.setrlimit(limit, (needed, hard))
    return f"note: raised the limit of {what} from {soft} to {needed}"


def _threads(sweep: Sweep) -> int:
    """Return how many threads a trial has whose clients are threads; 0 if there is none."""
    if not any(ENGINES[name].open_sync for name in sweep.engines):
        return 0
    return max(sweep.clients) * sweep.pipeline + THREADS_RESERVE


def _refuse_threads(threads: int) -> None:
    """Refuse what the system or a container has no room for."""
    for free, remedy in _free_threads():
        if threads > free:
            raise RefusalError(
                f"blocking clients need {threads} threads, {max(free, 0)} are to be had; {remedy},"
                " or leave out the engines whose clients are threads"
            )


def _free_threads() -> Iterable[tuple[int, str]]:
    """Return how many threads each limit leaves, and what raises it."""
    most = read_number("/proc/sys/kernel/threads-max")
    if most is not None:
        now = (read_text("/proc/loadavg") or "").split()[3].split("/")[1]
        yield most - int(now), "raise kernel.threads-max"
    for group in _own_groups("pids"):
        most, current = read_number(group / "pids.max"), read_number(group / "pids.current")
        if most is not None and current is not None:
            yield most - current, f"raise pids.max in {group}"


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
