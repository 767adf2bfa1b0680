"""A kernel that refuses: a seccomp filter for the calling thread and those it starts."""

from __future__ import annotations

import ctypes
import platform
import struct

# The same numbers on every architecture but alpha; the last one by architecture.
SYSCALLS = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "statx": {"x86_64": 332}.get(platform.machine(), 291),
}

# linux/prctl.h, linux/seccomp.h, linux/filter.h
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW = 0x00050000, 0x7FFF0000
BPF_LD_W_ABS, BPF_JMP_JEQ_K, BPF_RET_K = 0x20, 0x15, 0x06


def refuse(syscall: str, number: int) -> None:
    """From now on `syscall` answers the errno `number`."""
    instructions = [
        (BPF_LD_W_ABS, 0, 0, 0),  # struct seccomp_data begins with the system call's number
        (BPF_JMP_JEQ_K, 0, 1, SYSCALLS[syscall]),
        (BPF_RET_K, 0, 0, SECCOMP_RET_ERRNO | number),
        (BPF_RET_K, 0, 0, SECCOMP_RET_ALLOW),
    ]
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    memory = ctypes.create_string_buffer(program)
    header = struct.pack("@HP", len(instructions), ctypes.addressof(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    filter_address = ctypes.c_char_p(header)
    if (
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0
        or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter_address) < 0
    ):
        raise OSError(ctypes.get_errno(), "prctl")
