"""A limit on the memory of one process, page cache included: a cgroup of its own, v1 or v2.

So a file can be larger than memory on any machine. The group is made below (v1) or beside (v2) the
sweep's own, where all limits that the sweep itself is under hold as well. Its name says which
process made it: what a sweep that was killed left behind, the next one removes.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asyncuring.benchmark.kernel_files import mounts, read_text
from asyncuring.benchmark.refusal import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from asyncuring.benchmark.kernel_files import Mount

PREFIX = "asyncuring-benchmark-"

NAME = re.compile(rf"{PREFIX}(\d+)-(\d+)")
"""Process number of the sweep, and when it started: numbers are given again."""

ENTER = ("sh", "-c", 'echo $$ > "$0" && exec "$@"')
"""A program that enters the group before it becomes the one that is limited: what a process has
touched before is counted where it was then."""

PROCESSES = "cgroup.procs"

REMOVING_LIMIT_S = 10

LOOK_AGAIN_S = 0.01


REMEDY = "as an ordinary user, try: systemd-run --user --scope python -m asyncuring.benchmark"


class MemoryLimitError(Exception):
    """No process can be limited here; or one could not do with what it had."""


@dataclass(frozen=True)
class Hierarchy:
    """Where groups that limit memory are made, and what is what in them."""

    parent: Path
    limit_file: str
    events_file: str
    """Counts the processes that were killed for want of memory, as ``oom_kill``."""


def own_hierarchy(groups: str, mounted: Sequence[Mount]) -> Hierarchy:
    """Return where this process may make groups, from its groups (`cgroups(7)`) and the mounts."""
    paths = {}
    for line in groups.splitlines():
        _number, controllers, path = line.split(":", maxsplit=2)
        paths.update(dict.fromkeys(controllers.split(","), path))
    if "memory" in paths:
        below = _folder(
            paths["memory"],
            (mount for mount in mounted if "memory" in mount.own_options.split(",")),
        )
        return Hierarchy(below, "memory.limit_in_bytes", "memory.oom_control")
    own = _folder(paths.get("", "/"), (mnt for mnt in mounted if mnt.file_system == "cgroup2"))
    # A group that has processes cannot have groups with limits below it, unless it is the root.
    for parent in (own, own.parent):
        enabled = read_text(parent / "cgroup.subtree_control") or ""
        if "memory" in enabled.split():
            return Hierarchy(parent, "memory.max", "memory.events")
    raise MemoryLimitError(f"no limit on memory is delegated to {own} or beside it; {REMEDY}")


def _folder(path: str, mounted: Iterator[Mount]) -> Path:
    """Return where the group ``path`` is to be seen."""
    for mount in mounted:
        if mount.file_system.startswith("cgroup") and Path(path).is_relative_to(mount.root):
            return Path(mount.point, Path(path).relative_to(mount.root))
    raise MemoryLimitError(f"the group of this process, {path}, is mounted nowhere")


class MemoryLimit:
    """One group with a limit."""

    def __init__(self, hierarchy: Hierarchy, limit: int) -> None:
        """Make the group."""
        name = _name_of(os.getpid())
        assert name is not None
        self._group = hierarchy.parent / name
        self._events = self._group / hierarchy.events_file
        try:
            self._group.mkdir()
        except OSError as error:
            raise MemoryLimitError(f"{self._group}: {error.strerror}; {REMEDY}") from error
        try:
            (self._group / hierarchy.limit_file).write_text(str(limit), encoding="ascii")
        except OSError as error:
            self.remove()
            raise MemoryLimitError(f"a limit of {limit} bytes: {error.strerror}") from error

    def command(self, command: Sequence[str]) -> list[str]:
        """Return the command that does the same within the limit."""
        return [*ENTER, str(self._group / PROCESSES), *command]

    @property
    def was_too_small(self) -> bool:
        """Whether the kernel killed a process because there was no more to have."""
        lines = (read_text(self._events) or "").splitlines()
        return int(dict(line.split() for line in lines).get("oom_kill", 0)) > 0

    def remove(self) -> None:
        """End who is still in the group, and remove it."""
        _remove(self._group)


@contextmanager
def memory_limit(limit: int) -> Iterator[MemoryLimit]:
    """Yield a group that may have so many bytes, there for the duration of the block."""
    groups = read_text("/proc/self/cgroup") or ""
    limited = MemoryLimit(own_hierarchy(groups, mounts()), limit)
    try:
        yield limited
    finally:
        limited.remove()


def refuse_without_memory_limit(limit: int) -> None:
    """Refuse unless a process can be limited here; remove what killed sweeps left."""
    try:
        remove_leftovers()
        with memory_limit(limit) as limited:
            tried = subprocess.run(
                limited.command(["true"]), capture_output=True, text=True, check=False
            )
    except MemoryLimitError as error:
        raise RefusalError(f"--memory-limit: {error}") from error
    if tried.returncode:
        raise RefusalError(f"--memory-limit: {' '.join(tried.stderr.split())}; {REMEDY}")


def remove_leftovers() -> None:
    """Remove the groups of sweeps that are no more."""
    groups = read_text("/proc/self/cgroup") or ""
    for group in own_hierarchy(groups, mounts()).parent.glob(f"{PREFIX}*"):
        made = NAME.fullmatch(group.name)
        if made and group.name != _name_of(int(made[1])):
            _remove(group)


def _name_of(process: int) -> str | None:
    """Return the name of the group that this process makes; None if there is no such process."""
    status = read_text(f"/proc/{process}/stat")
    if status is None:
        return None
    # The name of the program, in brackets, may hold anything.
    started = status.rpartition(")")[2].split()[19]
    return f"{PREFIX}{process}-{started}"


def _remove(group: Path) -> None:
    deadline = time.monotonic() + REMOVING_LIMIT_S
    while True:
        for process in (read_text(group / PROCESSES) or "").split():
            with suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            # Somebody who was killed has not ended yet.
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise MemoryLimitError(f"{group}: {error.strerror}") from error
            time.sleep(LOOK_AGAIN_S)
        else:
            return
