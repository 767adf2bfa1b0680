"""What does not fit is refused with the remedy; what may be raised is raised."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from asyncuring.benchmark.cli import main

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SMALL = "--engines null --clients 1 --ops-per-client 5 --file-size 1MiB"


def run_with_limits(shell: str, arguments: Sequence[object]) -> subprocess.CompletedProcess[str]:
    """Run the benchmark after a shell has lowered its own limits."""
    command = f'{shell}; exec "$0" -m asyncuring.benchmark "$@"'
    return subprocess.run(
        ("sh", "-c", command, sys.executable, *map(str, arguments)),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("--clients 100000 --block-size 1GiB --file-size 1GiB --direct", "for their buffers, of "),
        ("--workload read-many --batch 100000 --clients 64 --block-size 1MiB", "their buffers"),
        ("--engines blocking --clients 5000000 --block-size 512 --direct", "threads, "),
        ("--file-size 6000000 --block-size 600 --direct", "with O_DIRECT in blocks of 600"),
    ],
)
def test_what_does_not_fit_is_refused(
    options: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    surroundings = ["--dir", str(tmp_path / "files"), "--out", str(tmp_path / "out")]
    assert main([*options.split(), *surroundings]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_memory_cannot_cache_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    blocks = memory // 8192 + 1
    path = tmp_path / f"blocks-8192-{blocks * 8192}"
    # Sparse: there already, so that no room on the disk is asked for.
    with path.open("wb") as file:
        file.truncate(blocks * 8192)
    options = ["--file-size", str(blocks * 8192), "--dir", str(tmp_path)]
    assert main([*options, "--out", str(tmp_path / "out")]) == 2
    assert "of memory can cache; choose a smaller one" in capsys.readouterr().err


def test_the_soft_limit_of_open_files_is_raised_and_the_hard_one_refused(
    files: Path, tmp_path: Path
) -> None:
    surroundings = ["--dir", files, "--out", tmp_path / "out"]
    raised = run_with_limits("ulimit -Sn 40", [*SMALL.split(), *surroundings])
    assert raised.returncode == 0, raised.stderr
    assert "note: raised the limit of open files from 40 to 72" in raised.stdout
    surroundings[-1] = tmp_path / "refused"
    refused = run_with_limits("ulimit -n 40", [*SMALL.split(), *surroundings])
    assert refused.returncode == 2
    assert "need 72 open files, the limit is 40; raise it" in refused.stderr
    assert not (tmp_path / "refused").exists()


def test_a_file_in_the_place_of_the_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "file"
    place.touch()
    assert main([*SMALL.split(), "--dir", str(place), "--out", str(tmp_path / "out")]) == 2
    assert f"{place}: Not a directory" in capsys.readouterr().err
