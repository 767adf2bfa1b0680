"""What does not fit is refused with the remedy; what may be raised is raised."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from asyncuring.benchmark.cli import main

if TYPE_CHECKING:
    from pathlib import Path

SMALL = "--engines null --clients 1 --ops-per-client 5 --file-size 1MiB"


LIMITED = """
import resource, sys
from asyncuring.benchmark.cli import main
name, soft, hard, *arguments = sys.argv[1:]
limit = getattr(resource, name)
before = resource.getrlimit(limit)[1]
resource.setrlimit(limit, (int(soft), before if hard == "same" else int(hard)))
sys.exit(main(arguments))
"""


def run_limited(
    limit: str, soft: object, hard: object, *arguments: object
) -> subprocess.CompletedProcess[str]:
    """Run the benchmark in a process with other limits."""
    return subprocess.run(
        (sys.executable, "-c", LIMITED, limit, *map(str, (soft, hard, *arguments))),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("--clients 100000 --block-size 1GiB --file-size 1GiB --direct", "for their buffers, "),
        ("--workload read-many --batch 100000 --clients 64 --block-size 1MiB", "their buffers"),
        ("--engines blocking --clients 5000000 --block-size 512 --direct", "threads, "),
        ("--memory-limit 1000000GiB --file-size 1MiB", "MiB are to be had; choose a smaller one"),
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
    assert "of memory that could cache it; choose a smaller one" in capsys.readouterr().err


def test_the_soft_limit_of_open_files_is_raised_and_the_hard_one_refused(
    files: Path, tmp_path: Path
) -> None:
    options = [*SMALL.split(), "--dir", files]
    raised = run_limited("RLIMIT_NOFILE", 40, "same", *options, "--out", tmp_path / "out")
    assert raised.returncode == 0, raised.stderr
    assert "note: raised the limit of open files from 40 to 72" in raised.stdout
    refused = run_limited("RLIMIT_NOFILE", 40, 40, *options, "--out", tmp_path / "refused")
    assert refused.returncode == 2
    assert "need 72 open files, the limit is 40; raise it as root" in refused.stderr
    assert not (tmp_path / "refused").exists()


def test_the_soft_limit_of_threads_is_raised_where_clients_are_threads(
    files: Path, tmp_path: Path
) -> None:
    blocking = [*SMALL.replace("null", "blocking").split(), "--dir", files, "--out", tmp_path]
    raised = run_limited("RLIMIT_NPROC", 50, "same", *blocking)
    assert raised.returncode == 0, raised.stderr
    assert "note: raised the limit of processes and threads from 50 to " in raised.stdout


def test_a_file_in_the_place_of_the_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "file"
    place.touch()
    assert main([*SMALL.split(), "--dir", str(place), "--out", str(tmp_path / "out")]) == 2
    assert f"{place}: Not a directory" in capsys.readouterr().err
