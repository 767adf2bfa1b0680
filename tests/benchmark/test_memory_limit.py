"""Trials with less memory than their file needs, in a cgroup of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asyncuring.benchmark import dataset
from asyncuring.benchmark.kernel_files import Mount, mounts, read_text
from asyncuring.benchmark.memory_limit import (
    PREFIX,
    Hierarchy,
    MemoryLimit,
    MemoryLimitError,
    memory_limit,
    own_hierarchy,
    refuse_without_memory_limit,
    remove_leftovers,
)
from asyncuring.benchmark.refusal import RefusalError
from asyncuring.benchmark.runner import run_in_fresh_process
from tests.benchmark.small import BLOCK_SIZE

if TYPE_CHECKING:
    from asyncuring.benchmark.trial import Trial

MIB = 1 << 20
FILE_SIZE = 96 * MIB
LIMIT = 64 * MIB
WAITS = (sys.executable, "-c", "import signal; print('here', flush=True); signal.pause()")


@pytest.fixture
def parent() -> Path:
    """The folder in which groups are made, where that is allowed."""
    try:
        refuse_without_memory_limit(LIMIT)
    except RefusalError as refusal:
        pytest.skip(str(refusal))
    return own_hierarchy(read_text("/proc/self/cgroup") or "", mounts()).parent


def groups_in(parent: Path) -> list[str]:
    """The groups of this process; other sweeps may be at work meanwhile."""
    return [group.name for group in parent.glob(f"{PREFIX}{os.getpid()}-*")]


def mount(file_system: str, point: Path, own_options: str = "rw", root: str = "/") -> Mount:
    return Mount(1, root, str(point), "rw", file_system, file_system, own_options)


def test_a_file_larger_than_the_limit_does_not_stay_in_memory(
    trial: Trial, parent: Path, tmp_path: Path
) -> None:
    path = tmp_path / "large"
    dataset.fill_file(path, FILE_SIZE, BLOCK_SIZE, lambda _: None)
    dataset.warm(str(path))
    limited = replace(trial, path=str(path), file_size=FILE_SIZE, memory_limit=LIMIT)
    record = run_in_fresh_process(limited)
    assert record["error"] is None
    assert 0 < record["resident_before"] <= LIMIT / FILE_SIZE
    assert 0 < record["resident_after"] <= LIMIT / FILE_SIZE
    assert groups_in(parent) == []


def test_a_trial_that_is_killed_for_want_of_memory_says_so(trial: Trial, parent: Path) -> None:
    record = run_in_fresh_process(replace(trial, memory_limit=4 * MIB))
    assert record["error"] == f"{4 * MIB} bytes of memory are too few for it"
    assert groups_in(parent) == []


def test_who_is_still_in_the_group_at_the_end_is_killed(parent: Path) -> None:
    with memory_limit(LIMIT) as limited:
        process = subprocess.Popen(limited.command(WAITS), stdout=subprocess.PIPE)
        assert process.stdout
        with process.stdout:
            assert process.stdout.readline() == b"here\n"
        assert len(groups_in(parent)) == 1
    assert process.wait() == -9
    assert groups_in(parent) == []


def test_the_next_sweep_removes_what_a_killed_one_left(parent: Path) -> None:
    # The number is that of a process, but of one that started at another time.
    left = parent / f"{PREFIX}{os.getpid()}-1"
    left.mkdir()
    process = subprocess.Popen(
        ("sh", "-c", 'echo $$ > "$0" && exec "$@"', str(left / "cgroup.procs"), *WAITS),
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    with process.stdout:
        assert process.stdout.readline() == b"here\n"
    with memory_limit(LIMIT):
        remove_leftovers()
        (own,) = groups_in(parent)
        assert own != left.name
    assert process.wait() == -9


def test_groups_are_made_below_the_own_one_in_version_1(tmp_path: Path) -> None:
    groups = "7:pids:/else\n4:cpu,memory:/box/own\n0::/"
    mounted = [
        mount("cgroup2", tmp_path / "unified"),
        mount("cgroup", tmp_path / "memory", "rw,cpu,memory", root="/box"),
    ]
    assert own_hierarchy(groups, mounted) == Hierarchy(
        tmp_path / "memory" / "own", "memory.limit_in_bytes", "memory.oom_control"
    )


def test_groups_are_made_beside_the_own_one_in_version_2(tmp_path: Path) -> None:
    own = tmp_path / "app.slice" / "own.scope"
    own.mkdir(parents=True)
    (own / "cgroup.subtree_control").write_text("\n")
    (own.parent / "cgroup.subtree_control").write_text("cpu memory pids\n")
    assert own_hierarchy("0::/app.slice/own.scope\n", [mount("cgroup2", tmp_path)]) == Hierarchy(
        own.parent, "memory.max", "memory.events"
    )


def test_version_2_without_the_controller_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    with pytest.raises(MemoryLimitError, match=r"no limit on memory is .* systemd-run"):
        own_hierarchy("0::/own\n", [mount("cgroup2", tmp_path)])


def test_a_group_that_is_mounted_nowhere_is_refused(tmp_path: Path) -> None:
    elsewhere = mount("cgroup", tmp_path, "rw,memory", root="/other")
    with pytest.raises(MemoryLimitError, match="/own, is mounted nowhere"):
        own_hierarchy("4:memory:/own\n", [elsewhere])


def test_who_may_not_make_groups_is_told_why() -> None:
    # Nobody makes folders there.
    with pytest.raises(MemoryLimitError, match=r"^/proc/.*; as an ordinary user, try: systemd-run"):
        MemoryLimit(Hierarchy(Path("/proc"), "memory.max", "memory.events"), LIMIT)


def test_a_limit_that_the_kernel_refuses_leaves_no_group(parent: Path) -> None:
    with pytest.raises(MemoryLimitError, match="a limit of -7 bytes: "), memory_limit(-7):
        pass
    assert groups_in(parent) == []
