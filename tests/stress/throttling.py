"""A device that is slow for this process, by a cgroup's limit on what is read. Root only."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GROUP = "asyncuring-throttled"
V1 = Path("/sys/fs/cgroup/blkio")


def _v1() -> tuple[Path, str, str] | None:
    """The root of the hierarchy, the file of the limit, and how to write one; None: not here."""
    if (V1 / "cgroup.procs").exists():
        return V1, "blkio.throttle.read_bps_device", "{device} {limit}"
    return None


def _v2() -> tuple[Path, str, str] | None:
    for root in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")):
        controllers = root / "cgroup.controllers"
        if controllers.exists() and "io" in controllers.read_text().split():
            with suppress(OSError):
                (root / "cgroup.subtree_control").write_text("+io")
            return root, "io.max", "{device} rbps={limit}"
    return None


@contextmanager
def throttled(on: Path, bytes_per_second: int) -> Iterator[Callable[[], None]]:
    """Slow down the device that has `on`, for this process; gives what lifts the limit."""
    found = _v1() or _v2()
    if found is None:
        pytest.skip("neither cgroup v1 (blkio) nor v2 (io) limits devices here")
    root, name, form = found
    group = root / GROUP
    place = _own_place(root)
    number = on.stat().st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    try:
        group.mkdir(exist_ok=True)
        (group / name).write_text(form.format(device=device, limit=bytes_per_second))
        (group / "cgroup.procs").write_text(str(os.getpid()))
    except OSError as error:
        pytest.skip(f"no limit can be set here: {error}")
    unlimited = form.format(device=device, limit=0 if root == V1 else "max")

    def lift() -> None:
        (group / name).write_text(unlimited)

    try:
        yield lift
    finally:
        lift()
        (place / "cgroup.procs").write_text(str(os.getpid()))
        group.rmdir()


def _own_place(root: Path) -> Path:
    """Where in the hierarchy at `root` this process is now: proc_pid_cgroup(5)."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if (root == V1) == ("blkio" in controllers.split(",")) and (root == V1 or not controllers):
            return root / path.strip("/")
    return root
