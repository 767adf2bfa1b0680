"""Why a driver cannot run, and what to do about it, in words."""

from __future__ import annotations

import errno
from pathlib import Path

from asyncuring._errors import DriverUnavailableError

__all__ = ["NOT_BUILT", "unavailable"]

_SECCOMP = (
    "a seccomp filter forbids io_uring (Docker's and containerd's default profile does)",
    (
        "Run the container with a profile that allows io_uring_setup, io_uring_enter and "
        "io_uring_register, or use driver='threads'"
    ),
)
_TOO_OLD = (
    (
        "the kernel has no io_uring, or is too old for it (5.6 is the oldest that serves), "
        "or a sandbox (gVisor, rootless podman) hides it"
    ),
    "Run on a newer kernel or outside the sandbox, or use driver='threads'",
)
_MEMLOCK = (
    "the limit on locked memory (RLIMIT_MEMLOCK) does not admit a ring",
    "Raise `ulimit -l` (LimitMEMLOCK= in a systemd unit), or use driver='threads'",
)
_MEMORY = (
    "there is no memory left for what a ring needs",
    "Raise the limit of the process, or of its cgroup, or try again later",
)
_DISABLED = (
    "the sysctl kernel.io_uring_disabled is {value}",
    (
        "Set it to 0 (as root: sysctl kernel.io_uring_disabled=0), or, if it is 1, join the group "
        "that kernel.io_uring_group names, or use driver='threads'"
    ),
)
_FILES = (
    "the process or the system is out of file descriptors",
    "Raise `ulimit -n` (EMFILE) or the sysctl fs.file-max (ENFILE), or close what is not needed",
)
NOT_BUILT = (
    (
        "this build of asyncuring has no io_uring: liburing was not there when it was compiled, "
        "or this is not Linux"
    ),
    "Install liburing's development files and build again, or use driver='threads'",
)
_OTHER = (
    "the kernel refused to create a ring that works",
    "`python -m asyncuring` tells more; driver='threads' needs no io_uring",
)

_CAUSES = {
    errno.EPERM: _SECCOMP,
    errno.EACCES: _SECCOMP,
    errno.ENOSYS: _TOO_OLD,
    errno.EINVAL: _TOO_OLD,
    errno.ENOMEM: _MEMLOCK,
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
}


def _io_uring_disabled() -> int:
    """Return the sysctl kernel.io_uring_disabled (Linux 6.6; 0 before)."""
    try:
        # No text: an encoding is a module, and who has given up rights may not be able to load it.
        return int(Path("/proc/sys/kernel/io_uring_disabled").read_bytes())
    except (FileNotFoundError, PermissionError):
        return 0


def unavailable(name: str, number: int, *, in_setup: bool = True) -> DriverUnavailableError:
    """Return what to raise where driver `name` cannot start, for an errno of the kernel's.

    in_setup: io_uring_setup(2) gave it, which is the call that counts locked memory.
    """
    cause, remedy = _CAUSES.get(number, _OTHER)
    if number == errno.ENOMEM and not in_setup:
        cause, remedy = _MEMORY
    disabled = _io_uring_disabled() if number == errno.EPERM else 0
    if disabled:
        cause, remedy = _DISABLED[0].format(value=disabled), _DISABLED[1]
    return DriverUnavailableError(name, cause, remedy, number)
