"""What the device under a file did meanwhile, by the kernel's own account (/proc/diskstats).

The device is the machine's: what others ask of it is in there as well.
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asyncuring.benchmark.kernel_files import mount_of, read_text

if TYPE_CHECKING:
    from asyncuring.benchmark.recording import Record

SECTOR_BYTES = 512
"""What the kernel counts in, whatever the sectors of the device."""

COLUMNS = (0, 4, 2, 6, 9, 10)
"""Of the counters that follow the device's name: those that are kept."""


@dataclass(frozen=True)
class DiskCounters:
    """What a device, or a partition of one, did since the machine started."""

    device: str
    at_ns: int
    reads: int
    writes: int
    sectors_read: int
    sectors_written: int
    busy_ms: int
    """How long at least one request was under way."""
    waited_ms: int
    """How long requests were under way, all of them together."""


def disk_counters(path: Path) -> DiskCounters | None:
    """Return the counters of the device under the file; None where it is on no block device."""
    device = block_device_of(path)
    fields = None if device is None else _entry(device)
    if fields is None:
        return None
    _major, _minor, name, *counts = fields
    numbers = [int(counts[column]) for column in COLUMNS]
    return DiskCounters(name, time.perf_counter_ns(), *numbers)


def disk_record(before: DiskCounters | None, after: DiskCounters | None) -> Record | None:
    """Return what the device did between two readings."""
    if before is None or after is None:
        return None
    elapsed_ms = (after.at_ns - before.at_ns) / 1e6
    return {
        "device": after.device,
        "reads": after.reads - before.reads,
        "writes": after.writes - before.writes,
        "read_bytes": (after.sectors_read - before.sectors_read) * SECTOR_BYTES,
        "written_bytes": (after.sectors_written - before.sectors_written) * SECTOR_BYTES,
        "busy_ms": after.busy_ms - before.busy_ms,
        # The kernel counts it in ticks of some milliseconds.
        "saturation": min(1.0, (after.busy_ms - before.busy_ms) / elapsed_ms),
        "under_way": (after.waited_ms - before.waited_ms) / elapsed_ms,
    }


def block_device_of(path: Path) -> tuple[int, int] | None:
    """Return the number, major and minor, of the block device that holds the file or folder.

    None if there is none: file systems in memory, over the network, or over others.
    """
    number = path.stat().st_dev
    if os.major(number) == 0:
        # No device's number. btrfs gives each subvolume one like it, and its mount has a device.
        mount = mount_of(path)
        number = 0 if mount is None else _number_of(mount.source)
    device = os.major(number), os.minor(number)
    return device if _entry(device) else None


def _number_of(source: str) -> int:
    try:
        status = Path(source).stat()
    except OSError:
        return 0
    return status.st_rdev if stat.S_ISBLK(status.st_mode) else 0


def _entry(device: tuple[int, int]) -> list[str] | None:
    for line in (read_text("/proc/diskstats") or "").splitlines():
        fields = line.split()
        if (int(fields[0]), int(fields[1])) == device:
            return fields
    return None
