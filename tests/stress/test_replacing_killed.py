"""`replace_file`, killed at every step: the old content or the new, also after a power cut.

strace kills the process when it begins a system call. A power cut is what the file system's image
holds then: a copy of it, mounted, has what was durable.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.stress.mounts import ON_DISKS, make_image, mounted, run

if TYPE_CHECKING:
    from pathlib import Path

SECONDS_MAX = 50

OLD, NEW = b"old " * 50_000, b"new content" * 100_000

REPLACE = """
import asyncio, sys
import asyncuring

driver, path = sys.argv[1:]
asyncio.run(asyncuring.replace_file(path, b"new content" * 100_000, driver=driver))
print("done")
"""

# What each driver does its work with. Python itself makes none of these calls.
SYSTEM_CALLS = {
    "uring": ["io_uring_enter"],
    "uring-local": ["io_uring_enter"],
    "threads": ["pwrite64,pwritev,pwritev2", "fdatasync", "renameat2", "fsync"],
}


def replace_killed(strace: str, driver: str, path: Path, calls: str, when: int) -> bool:
    """Kill a process that replaces `path` when it begins one of `calls` the `when`th time.

    Returns whether it came to its end before.
    """
    inject = f"inject={calls}:signal=KILL:when={when}"
    command = [strace, "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", inject]
    done = subprocess.run(
        [*command, sys.executable, "-W", "error", "-c", REPLACE, driver, str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    ends = (done.returncode, done.stdout, done.stderr)
    assert ends in ((0, "done\n", ""), (-signal.SIGKILL, "", ""), (128 + signal.SIGKILL, "", ""))
    return done.returncode == 0


def check(directory: Path) -> bool:
    """Look for a mixture, or for leftovers under another name; returns whether it is the new."""
    content = (directory / "file").read_bytes()
    assert content in (OLD, NEW)
    others = [path.name for path in directory.iterdir() if path.is_file() and path.name != "file"]
    assert all(name.startswith(".asyncuring-") for name in others)
    assert len(others) <= 1
    return content == NEW


def start_anew(directory: Path) -> Path:
    for path in directory.iterdir():
        if path.is_file():  # and not ext4's lost+found
            path.unlink()
    (directory / "file").write_bytes(OLD)
    return directory / "file"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("driver", list(SYSTEM_CALLS))
def test_a_process_killed_at_any_step_leaves_old_or_new(
    request: pytest.FixtureRequest, strace: str, driver: str, tmp_path: Path
) -> None:
    if driver != "threads":
        request.getfixturevalue("uring")
    directory = tmp_path / "directory"
    directory.mkdir()
    ends: list[bool] = []
    for calls in SYSTEM_CALLS[driver]:
        done = False
        when = 0
        while not done:
            when += 1
            path = start_anew(directory)
            done = replace_killed(strace, driver, path, calls, when)
            ends.append(check(directory))
            assert not done or ends[-1]
            assert not done or [path.name for path in directory.iterdir()] == ["file"]
    # Some kills came before the rename, and some after.
    assert len(ends) > 4
    assert not ends[0]
    assert True in ends[:-1]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ON_DISKS)
def test_a_power_cut_at_any_step_leaves_old_or_new(strace: str, kind: str, tmp_path: Path) -> None:
    image, cut = tmp_path / "image", tmp_path / "cut"
    make_image(kind, image)
    ends: list[bool] = []
    for calls in SYSTEM_CALLS["threads"]:
        for when in range(1, 3):
            with mounted(kind, image, tmp_path / "mounted") as directory:
                path = start_anew(directory)
                run("sync", "-f", path)
                done = replace_killed(strace, "threads", path, calls, when)
                run("cp", "--sparse=always", image, cut)
            with mounted(kind, cut, tmp_path / "after") as after:
                ends.append(check(after))
            assert not done or ends[-1]
            if done:
                break
    assert False in ends
    assert True in ends
