"""File systems of the tests' own: images on loop devices, mounted for a while. Root only."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Megabytes, and what makes it. An image is sparse: it takes what is used.
_MAKE: dict[str, tuple[int, list[str]]] = {
    "ext4": (512, ["mkfs.ext4", "-q", "-F"]),
    "xfs": (512, ["mkfs.xfs", "-q"]),
    "btrfs": (512, ["mkfs.btrfs", "-q", "--mixed"]),
}

FILE_SYSTEMS = [*_MAKE, "tmpfs"]
ON_DISKS = list(_MAKE)

# Nothing is written back by itself while a test lasts: it is to see what a sync makes durable.
_LAZY = {"ext4": "commit=300", "xfs": "noatime", "btrfs": "commit=300"}


def run(*command: str | Path) -> None:
    """Run a program that must end well; its complaint is the test's."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr.strip()}"


def make_image(kind: str, image: Path) -> None:
    """Make a file with an empty file system in it; the test is skipped where that cannot be."""
    size, make = _MAKE[kind]
    if shutil.which(make[0]) is None:
        pytest.skip(f"{make[0]} is not installed (packages e2fsprogs, xfsprogs, btrfs-progs)")
    with image.open("xb") as file:
        file.truncate(size << 20)
    run(*make, image)


@contextmanager
def mounted(kind: str, image: Path | None, point: Path) -> Iterator[Path]:
    """Mount the file system in `image` (None: a tmpfs) at `point`, and take it off again."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount file systems")
    point.mkdir(exist_ok=True)
    options = (
        ["-o", "size=512m", "tmpfs"] if image is None else ["-o", f"loop,{_LAZY[kind]}", image]
    )
    done = subprocess.run(
        ["mount", "-t", kind, *options, point], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        reason = done.stderr.strip()
        unknown = "unknown filesystem type" in reason or "permission denied" in reason
        assert unknown, reason
        pytest.skip(f"no {kind} can be mounted here: {reason}")
    try:
        yield point
    finally:
        # What still uses it keeps nobody from taking it off; the loop device goes with the last.
        run("umount", "--lazy", point)
