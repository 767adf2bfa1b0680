"""A device that is slow for this process, by a cgroup's limit on what is read. Root only.

cgroup v1 has blkio.throttle, v2 io.max; a system has the one or the other.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GROUP = "asyncuring-throttled"
V1 = Path("/sys/fs/cgroup/blkio")
V2 = [Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")]  # alone, or beside v1


class Way(NamedTuple):
    """The root of a hierarchy, the file of the limit, and what to write for one and for none."""

    root: Path
    name: str
    limit: str
    unlimited: str


def _v1() -> Way | None:
    if (V1 / "cgroup.procs").exists():
        name = "blkio.throttle.read_bps_device"
        return Way(V1, name, "{device} {bytes_per_second}", "{device} 0")
    return None


def _controllers(root: Path) -> list[str]:
    """Those that groups of this v2 hierarchy can have: what v1 has taken is not among them."""
    try:
        return (root / "cgroup.controllers").read_text().split()
    except FileNotFoundError:
        return []


def _v2() -> Way | None:
    for root in V2:
        if "io" in _controllers(root):
            return Way(root, "io.max", "{device} rbps={bytes_per_second}", "{device} rbps=max")
    return None


@contextmanager
def _with_io(way: Way) -> Iterator[None]:
    """Let the groups of a v2 hierarchy limit IO, which they do not by themselves."""
    control = way.root / "cgroup.subtree_control"
    if way.root == V1 or "io" in control.read_text().split():
        yield
        return
    control.write_text("+io")
    try:
        yield
    finally:
        control.write_text("-io")


@contextmanager
def _moved(way: Way) -> Iterator[Path]:
    """Have this process in a group of its own; gives its folder."""
    group, place = way.root / GROUP, _own_place(way.root)
    group.mkdir(exist_ok=True)
    try:
        (group / "cgroup.procs").write_text(str(os.getpid()))
        yield group
    finally:
        (place / "cgroup.procs").write_text(str(os.getpid()))
        group.rmdir()


@contextmanager
def throttled(on: Path, bytes_per_second: int) -> Iterator[Callable[[], None]]:
    """Slow down the device that has `on`, for this process; gives what lifts the limit."""
    way = _v1() or _v2()
    if way is None:
        found = {str(root): _controllers(root) for root in V2}
        pytest.skip(f"no cgroup limits devices here: no {V1}, and v2 has no io: {found}")
    number = on.stat().st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    with ExitStack() as undo:
        try:
            undo.enter_context(_with_io(way))
            limit = undo.enter_context(_moved(way)) / way.name
            limit.write_text(way.limit.format(device=device, bytes_per_second=bytes_per_second))
        except OSError as error:
            pytest.skip(f"no limit can be set in {way.root}: {error}")

        def lift() -> None:
            limit.write_text(way.unlimited.format(device=device))

        undo.callback(lift)
        yield lift


def _own_place(root: Path) -> Path:
    """Where in the hierarchy at `root` this process is now: proc_pid_cgroup(5)."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "blkio" in controllers.split(",") if root == V1 else not controllers:
            return root / path.strip("/")
    return root
