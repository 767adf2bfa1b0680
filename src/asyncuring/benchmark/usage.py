"""What this process takes of its machine, read at one moment: CPU, switches and memory.

Little may be done here, for it is done within the time that is measured. Who asks the kernel lets
go of the GIL and has to win it back from a busy loop; so the tasks are listed only if there are
others than before, and the name of each is looked up once.
"""

from __future__ import annotations

import os
import platform
import re
import resource
from dataclasses import dataclass
from pathlib import Path

from asyncuring.benchmark.kernel_files import read_text

TASKS = Path("/proc/self/task")

WORKERS = ("iou-wrk-", "iou-sqp-")
"""How the kernel names its threads that work for the rings of a process."""

TASKS_OF_THE_PROCESS_SINCE = (5, 12)
"""The kernel before which such threads belonged to no process."""

STATUS = Path("/proc/self/status")

STATUS_BYTES = 8192
"""More than its text has."""

FACTS = re.compile(r"^(VmRSS|VmSwap|Threads):\s+(\d+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """One reading. What counts up does so from the start of the process; None: nobody can tell."""

    cpu_user_us: int
    cpu_system_us: int
    """Of all threads, the kernel's workers among them."""
    cpu_kernel_workers_us: int | None
    voluntary_switches: int
    involuntary_switches: int
    rss_bytes: int | None
    swap_bytes: int | None


class UsageMeter:
    """Reads the usage; it remembers the kernel's workers, which may be gone at the next reading."""

    def __init__(self) -> None:
        self._workers = KernelWorkers() if kernel_workers_are_tasks() else None
        self._status = os.open(STATUS, os.O_RDONLY) if STATUS.exists() else None

    def close(self) -> None:
        """Let go of the kernel's file."""
        if self._status is not None:
            os.close(self._status)
            self._status = None

    def read(self, *, is_last: bool = False) -> Usage:
        """Return the usage now; the last reading misses no worker that is there."""
        cpu = resource.getrusage(resource.RUSAGE_SELF)
        text = b"" if self._status is None else os.pread(self._status, STATUS_BYTES, 0)
        facts = dict(FACTS.findall(text.decode()))
        workers = self._workers
        if workers is not None:
            workers.look(None if is_last else int(facts["Threads"]))
        return Usage(
            cpu_user_us=round(cpu.ru_utime * 1e6),
            cpu_system_us=round(cpu.ru_stime * 1e6),
            cpu_kernel_workers_us=None if workers is None else workers.cpu_us,
            voluntary_switches=cpu.ru_nvcsw,
            involuntary_switches=cpu.ru_nivcsw,
            rss_bytes=_bytes(facts.get("VmRSS")),
            swap_bytes=_bytes(facts.get("VmSwap")),
        )


class KernelWorkers:
    """The CPU of those tasks of this process that the kernel made for io_uring."""

    def __init__(self) -> None:
        self._others: set[str] = set()
        self._cpu_ns: dict[str, int] = {}
        self._ended_ns = 0

    @property
    def cpu_us(self) -> int:
        """What all of them took that were there when somebody looked."""
        return (self._ended_ns + sum(self._cpu_ns.values())) // 1000

    def look(self, threads: int | None) -> None:
        """Look for workers, unless there are as many threads as before, none of them a worker."""
        if threads == len(self._others) and not self._cpu_ns:
            return
        tasks = {task.name for task in TASKS.iterdir()}
        self._others &= tasks
        for task in self._cpu_ns.keys() - tasks:
            self._ended_ns += self._cpu_ns.pop(task)
        for task in tasks - self._others:
            if task in self._cpu_ns or _is_worker(task):
                self._look_at(task)
            else:
                self._others.add(task)

    def _look_at(self, task: str) -> None:
        text = read_text(TASKS / task / "schedstat")
        if text is None:
            # It ended just now.
            return
        cpu_ns, before_ns = int(text.split()[0]), self._cpu_ns.get(task, 0)
        if cpu_ns < before_ns:
            # The number of one that ended has been given to another.
            self._ended_ns += before_ns
        self._cpu_ns[task] = cpu_ns


def kernel_workers_are_tasks() -> bool:
    """Whether this kernel shows its workers, and the CPU of each, among a process's tasks."""
    version = re.match(r"(\d+)\.(\d+)", platform.release())
    return (
        version is not None
        and tuple(map(int, version.groups())) >= TASKS_OF_THE_PROCESS_SINCE
        and Path("/proc/thread-self/schedstat").exists()
    )


def _is_worker(task: str) -> bool:
    return (read_text(TASKS / task / "comm") or "").startswith(WORKERS)


def _bytes(kib: str | None) -> int | None:
    return None if kib is None else int(kib) * 1024
