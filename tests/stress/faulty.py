"""A faulty file system (faulty_fs.py) mounted for a test, which tells it when to fail."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.running import checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# How often a condition is looked at before a test gives up on it: each look asks the file system.
LOOKS_MAX = 50_000

PROGRAM = Path(__file__).with_name("faulty_fs.py")


class FaultySystem:
    """A mounted faulty file system: a folder, and the one who carries out its requests."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.folder = folder
        self._process = process

    def tell(self, command: str) -> str:
        """Give a command; see faulty_fs.py."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the file system has ended"
        return answer.strip()

    def counts(self) -> tuple[int, int]:
        """How many requests get no answer, and how many of them the kernel wants to interrupt."""
        stalled, interrupted = self.tell("count").split()
        return int(stalled), int(interrupted)

    def end(self) -> None:
        """Go away: the kernel answers all that stalls, and whatever comes, with ENOTCONN."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something that comes by itself; other tasks run meanwhile."""
        for _ in range(LOOKS_MAX):
            if condition():
                return
            await checkpoint()
        message = "the condition never came true"
        raise AssertionError(message)

    async def until_stalled(self, count: int) -> None:
        """Wait until so many requests get no answer; other tasks run meanwhile."""
        await self.until(lambda: self.counts()[0] == count)


@contextmanager
def faulty_system(point: Path, **inodes: int) -> Iterator[FaultySystem]:
    """Mount one at `point`, with a file for each name; whatever stalls in it ends with it."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount file systems")
    point.mkdir()
    files = [f"{name}={inode}" for name, inode in inodes.items()]
    with subprocess.Popen(
        [sys.executable, "-I", PROGRAM, point, *files],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        if process.stdout.readline() != "mounted\n":
            reason = process.stderr.read().strip().splitlines()[-1]
            pytest.skip(f"no FUSE file system can be mounted here: {reason}")
        system = FaultySystem(point, process)
        try:
            yield system
        finally:
            system.end()
            subprocess.run(["umount", "--lazy", point], check=True)
