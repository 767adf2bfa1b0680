"""What the numbers were measured on. A fact that cannot be found is None, never a failure."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncuring.benchmark.recording import Record

PACKAGES = ("asyncuring", "trio", "uvloop")


def host_record(directory: Path, command: list[str]) -> Record:
    """Return the facts of this machine, with the file system that holds ``directory``."""
    return {
        "kind": "host",
        "command": command,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpu": _cpu_model(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        **mount_facts(directory),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
    }


def mount_facts(directory: Path) -> dict[str, str | None]:
    """Return type, device and options of the file system that holds ``directory``."""
    device_number = directory.stat().st_dev
    wanted = f"{os.major(device_number)}:{os.minor(device_number)}"
    for line in (_read("/proc/self/mountinfo") or "").splitlines():
        # The fields before the dash vary in number, the three after it do not.
        before, _, after = line.partition(" - ")
        fields = before.split()
        if fields[2] == wanted:
            file_system, device, _ = after.split(maxsplit=2)
            return {"file_system": file_system, "device": device, "mount_options": fields[5]}
    return {"file_system": None, "device": None, "mount_options": None}


def _cpu_model() -> str | None:
    for line in (_read("/proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit of the source tree, with a plus sign if it was changed since."""
    git = ("git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=40")
    try:
        found = subprocess.run(
            (*git, "--dirty=+", "--exclude=*"), capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return found.stdout.strip() or None


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return None
