"""What the numbers were measured on. A fact that cannot be found is None, never a failure."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from asyncuring.benchmark.disk import block_device_of
from asyncuring.benchmark.kernel_files import mount_of, read_number, read_text

if TYPE_CHECKING:
    from asyncuring.benchmark.recording import Record

EXTRAS = ("benchmark", "peers")
"""Extras of this package: what is in them takes part in what is measured."""

VM_SETTINGS = (
    "swappiness",
    "dirty_ratio",
    "dirty_bytes",
    "dirty_background_ratio",
    "dirty_background_bytes",
)
"""Settings of the kernel (/proc/sys/vm) on which cached writes and memory depend."""

ANSWER_LIMIT_S = 20


def host_record(directory: Path, command: list[str]) -> Record:
    """Return the facts of this machine, with the file system that holds ``directory``."""
    cpu = _first_cpu()
    return {
        "kind": "host",
        "command": command,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpu": cpu.get("model name"),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "governor": read_text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        # Only x86 has a flag that tells.
        "virtual": "hypervisor" in cpu["flags"].split() if "flags" in cpu else None,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "vm": {name: read_number(f"/proc/sys/vm/{name}") for name in VM_SETTINGS},
        **mount_facts(directory),
        "block_device": _block_device_facts(directory),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {name: _version(name) for name in packages()},
        "liburing": _liburing(),
        "fio": _answer("fio", "--version"),
        "commit": _commit(),
    }


def mount_facts(directory: Path) -> dict[str, str | None]:
    """Return type, device and options of the file system that holds ``directory``."""
    mount = mount_of(directory)
    facts = {
        "file_system": "file_system",
        "device": "source",
        "mount_options": "options",
        "file_system_options": "own_options",
    }
    return {name: getattr(mount, field, None) for name, field in facts.items()}


def packages() -> list[str]:
    """Return the packages on which results depend, this one first."""
    names = [
        re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        for requirement in _requirements()
        if any(f'extra == "{extra}"' in requirement for extra in EXTRAS)
    ]
    return ["asyncuring", *sorted(set(names))]


def _requirements() -> list[str]:
    try:
        return importlib.metadata.requires("asyncuring") or []
    except importlib.metadata.PackageNotFoundError:
        return []


def _block_device_facts(directory: Path) -> Record | None:
    """Return what the kernel knows of the device under the folder, and how it queues for it."""
    number = block_device_of(directory)
    if number is None:
        return None
    device = Path("/sys/dev/block", "{}:{}".format(*number)).resolve()
    # A partition has the queue of the whole.
    whole = device.parent if (device / "partition").exists() else device
    queue = whole / "queue"
    rotational = read_number(queue / "rotational")
    scheduler = re.search(r"\[(.+)\]", read_text(queue / "scheduler") or "")
    return {
        "name": device.name,
        "model": read_text(whole / "device" / "model"),
        "scheduler": scheduler and scheduler[1],
        "rotational": None if rotational is None else bool(rotational),
        "requests": read_number(queue / "nr_requests"),
        "queue_depth": read_number(whole / "device" / "queue_depth"),
        "logical_block_size": read_number(queue / "logical_block_size"),
        "physical_block_size": read_number(queue / "physical_block_size"),
        "read_ahead_kb": read_number(queue / "read_ahead_kb"),
        "write_cache": read_text(queue / "write_cache"),
    }


def _first_cpu() -> dict[str, str]:
    text, _, _ = (read_text("/proc/cpuinfo") or "").partition("\n\n")
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _liburing() -> str | None:
    """Return the version of the liburing inside asyncuring, as its own report has it."""
    report = _answer(sys.executable, "-m", "asyncuring") or ""
    found = re.search(r"^ +liburing +(.+)$", report, re.MULTILINE)
    return found and found[1]


def _commit() -> str | None:
    """Return the commit of the source tree, with a plus sign if it was changed since."""
    folder = str(Path(__file__).parent)
    return _answer(
        "git", "-C", folder, "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"
    )


def _answer(*command: str) -> str | None:
    try:
        found = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=ANSWER_LIMIT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
