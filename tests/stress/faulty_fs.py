"""A file system that fails and stalls when told to: the FUSE protocol, spoken by this program.

Its files are in memory, 64 KiB each, and the page cache is not used, so that each read, write and
fsync comes here. It takes commands, a line each, and answers each with a line:

    fail OP NAME N ERRNO   the N-th OP on NAME from now on fails, once (1: the next)
    stall OP NAME          requests of that kind get no answer from now on
    release                all that stall are carried out, and no more stall
    count                  how many requests stall, and how many of them it was asked to interrupt

OP is read, write, fsync, flush, open, getattr. One thread serves all: who stalls is only put aside.
Usage: faulty_fs.py MOUNT_POINT NAME=INODE...
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import signal
import stat
import struct
import sys
from typing import Any, NamedTuple

SIZE = 64 * 1024
BLOCK = 4096

# linux/fuse.h
LOOKUP, FORGET, GETATTR, SETATTR, OPEN, READ, WRITE = 1, 2, 3, 4, 14, 15, 16
RELEASE, FSYNC, FLUSH, INIT, INTERRUPT, DESTROY, BATCH_FORGET = 18, 20, 25, 26, 36, 38, 42
OPCODES = {
    "open": OPEN,
    "read": READ,
    "write": WRITE,
    "fsync": FSYNC,
    "flush": FLUSH,
    "getattr": GETATTR,
}
ROOT = 1
DIRECT_IO = 1
NAMES_LAST_SECONDS = 3600  # so that the kernel asks for what is opened, and not for names
# A test that hangs in here can be ended by nobody else: then whatever stalls fails with ENOTCONN.
SECONDS_MAX = 60
VERSION = 7, 31
WANTS_NO_ANSWER = {FORGET, BATCH_FORGET, INTERRUPT, DESTROY}

IN_HEADER = struct.Struct("=IIQQIIIHH")
OUT_HEADER = struct.Struct("=IiQ")
INIT_OUT = struct.Struct("=IIIIHHIIHHI28x")
ATTRIBUTES = struct.Struct("=6Q10I")
ENTRY_OUT = struct.Struct("=4Q2I")
ATTR_OUT = struct.Struct("=Q2I")
TRANSFER_IN = struct.Struct("=2Q2IQ2I")  # of a read and of a write

# To all that asks for nothing in particular.
ANSWERS = {
    INIT: INIT_OUT.pack(*VERSION, 0, 0, 64, 48, SIZE, 1, 0, 0, 0),
    OPEN: struct.pack("=QII", 0, DIRECT_IO, 0),
    RELEASE: b"",
    FSYNC: b"",
    FLUSH: b"",
}


class Request(NamedTuple):
    opcode: int
    unique: int
    inode: int
    body: bytes


class FaultyFileSystem:
    """Answers the kernel's requests, or does not."""

    def __init__(self, device: int, inodes: dict[str, int]) -> None:
        self._device = device
        self._inodes = inodes
        self._content = {inode: bytearray(SIZE) for inode in inodes.values()}
        self._fails: list[list[Any]] = []  # [opcode, inode, how many are still to come, errno]
        self._stalls: set[tuple[int, int]] = set()
        self._stalled: list[Request] = []
        self._interrupted: set[int] = set()

    # -- commands

    def command(self, line: str) -> str:
        what, *arguments = line.split()
        if what == "fail":
            kind, name, count, error = arguments
            rule = [OPCODES[kind], self._inodes[name], int(count), getattr(errno, error)]
            self._fails.append(rule)
        elif what == "stall":
            kind, name = arguments
            self._stalls.add((OPCODES[kind], self._inodes[name]))
        elif what == "release":
            self._stalls.clear()
            stalled, self._stalled = self._stalled, []
            for request in stalled:
                self._answer(request)
        elif what == "count":
            interrupted = [one for one in self._stalled if one.unique in self._interrupted]
            return f"{len(self._stalled)} {len(interrupted)}"
        return "done"

    # -- requests

    def serve(self) -> bool:
        """Serve one; False when the file system has been taken off."""
        try:
            data = os.read(self._device, 2 * SIZE + BLOCK)
        except OSError as error:
            # ENOENT: the request was interrupted before it was read. ENODEV: it was unmounted.
            return error.errno == errno.ENOENT
        _length, opcode, unique, inode, *_ = IN_HEADER.unpack_from(data)
        request = Request(opcode, unique, inode, data[IN_HEADER.size :])
        if opcode == INTERRUPT:
            self._interrupted.add(int.from_bytes(request.body[:8], sys.byteorder))
        elif opcode not in WANTS_NO_ANSWER:
            if (opcode, inode) in self._stalls:
                self._stalled.append(request)
            else:
                self._answer(request)
        return True

    def _answer(self, request: Request) -> None:
        error, data = self._fault(request), b""
        if not error:
            error, data = self._carry_out(request)
        header = OUT_HEADER.pack(OUT_HEADER.size + len(data), -error, request.unique)
        os.write(self._device, header + data)

    def _fault(self, request: Request) -> int:
        for rule in self._fails:
            if rule[:2] == [request.opcode, request.inode]:
                rule[2] -= 1
                if rule[2] == 0:
                    self._fails.remove(rule)
                    return int(rule[3])
        return 0

    def _carry_out(self, request: Request) -> tuple[int, bytes]:
        _, _, inode, body = request
        if request.opcode == LOOKUP:
            return self._look_up(body.rstrip(b"\0").decode())
        if request.opcode in {READ, WRITE}:
            _, offset, size, *_ = TRANSFER_IN.unpack_from(body)
            place = slice(offset, offset + size)
            if request.opcode == READ:
                return 0, bytes(self._content[inode][place])
            self._content[inode][place] = body[TRANSFER_IN.size :]
            return 0, struct.pack("=II", size, 0)
        if request.opcode in {GETATTR, SETATTR}:
            return 0, ATTR_OUT.pack(0, 0, 0) + self._attributes(inode)
        if request.opcode in ANSWERS:
            return 0, ANSWERS[request.opcode]
        return errno.ENOSYS, b""

    def _look_up(self, name: str) -> tuple[int, bytes]:
        inode = self._inodes.get(name)
        if inode is None:
            return errno.ENOENT, b""
        entry = ENTRY_OUT.pack(inode, 0, NAMES_LAST_SECONDS, 0, 0, 0)
        return 0, entry + self._attributes(inode)

    def _attributes(self, inode: int) -> bytes:
        mode = stat.S_IFDIR | 0o755 if inode == ROOT else stat.S_IFREG | 0o666
        size = 0 if inode == ROOT else len(self._content[inode])
        return ATTRIBUTES.pack(
            *(inode, size, size // 512, 0, 0, 0),
            *(0, 0, 0, mode, 1, os.getuid(), os.getgid(), 0, BLOCK, 0),
        )


def mount(point: str) -> int:
    """Mount a file system of which this process carries out the requests; its descriptor."""
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()},allow_other"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"faulty", os.fsencode(point), b"fuse", 0, options.encode()) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "mount")
    return device


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    signal.alarm(SECONDS_MAX)
    point, *files = sys.argv[1:]
    named = [file.split("=") for file in files]
    device = mount(point)
    system = FaultyFileSystem(device, {name: int(inode) for name, inode in named})
    say("mounted")
    while True:
        ready, _, _ = select.select([device, sys.stdin], [], [])
        if device in ready and not system.serve():
            return
        if sys.stdin in ready:
            line = sys.stdin.readline()  # one at a time: who gave it waits for the answer
            if not line:
                return
            say(system.command(line))


if __name__ == "__main__":
    main()
