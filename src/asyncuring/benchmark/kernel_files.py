"""What the kernel tells in small files of text. What it does not tell is None, never a failure."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mount:
    """One file system as this process sees it mounted: a line of `proc_pid_mountinfo(5)`."""

    number: int
    root: str
    """The folder of the file system that stands at ``point``."""
    point: str
    options: str
    file_system: str
    source: str
    """The device, where there is one."""
    own_options: str
    """Options of the file system itself, the same at each of its mounts."""


def read_text(path: str | Path) -> str | None:
    """Return what the file holds, without the space around; None if it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return None


def read_number(path: str | Path) -> int | None:
    """Return the integer that the file holds; None if there is none."""
    text = read_text(path)
    return int(text) if text and text.removeprefix("-").isdecimal() else None


def mounts() -> list[Mount]:
    """Return all mounts that this process sees."""
    return [_parsed(line) for line in (read_text("/proc/self/mountinfo") or "").splitlines()]


def mount_of(path: Path) -> Mount | None:
    """Return the mount that ``path`` is on.

    The kernel names it for an open file. The file's device number would not do: on btrfs it is
    another one than its mount's.
    """
    fd = os.open(path, os.O_RDONLY)
    try:
        facts = read_text(f"/proc/self/fdinfo/{fd}") or ""
    finally:
        os.close(fd)
    named = dict(line.split(":", maxsplit=1) for line in facts.splitlines())
    wanted = int(named.get("mnt_id", -1))
    return next((mount for mount in mounts() if mount.number == wanted), None)


def _parsed(line: str) -> Mount:
    # The fields before the dash vary in number, the three after it do not.
    before, _, after = line.partition(" - ")
    number, _parent, _device, root, point, options, *_ = map(_unescaped, before.split())
    return Mount(int(number), root, point, options, *map(_unescaped, after.split(maxsplit=2)))


def _unescaped(field: str) -> str:
    r"""Return the field with its ``\040`` and the like made characters again."""
    return field.encode().decode("unicode_escape") if "\\" in field else field
