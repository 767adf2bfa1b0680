"""A build where there is no liburing, or no Linux: threads serve, and it says so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

PROGRAM = """
import asyncio, os, sys
import asyncuring

assert asyncuring.__file__.startswith(sys.argv[1]), asyncuring.__file__

async def main():
    try:
        await asyncuring.open_file(os.devnull, driver="uring")
    except asyncuring.DriverUnavailableError as unavailable:
        assert unavailable.errno is None
        assert "liburing was not there when it was compiled" in unavailable.cause
        assert "driver='threads'" in unavailable.remedy
    else:
        raise AssertionError("a build without io_uring started it")
    async with await asyncuring.open_file(sys.argv[1] + "/page", "w+") as uring_file:
        page = bytearray(8192)
        assert await uring_file.write_at(bytes(range(256)) * 32, 0) == 8192
        assert await uring_file.read_at(page, 0) == 8192
        assert page == bytes(range(256)) * 32
        now = asyncuring.statistics()
        assert (now.driver, now.enters) == ("threads", 0)
        assert "this build of asyncuring has no io_uring" in now.reason

asyncio.run(main())
"""


def environment(**more: str) -> dict[str, str]:
    """Without what steers the build, and without coverage: what runs here is a copy."""
    ours = ("ASYNCURING_", "COVERAGE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | more


@pytest.fixture(scope="module")
def without_liburing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package, its core compiled without liburing."""
    folder = tmp_path_factory.mktemp("without_liburing")
    source = folder / "source"
    source.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(
        ROOT / "src", source / "src", ignore=shutil.ignore_patterns("*.so", "*.egg-info")
    )
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build", "--build-lib", str(folder / "built")],
        cwd=source,
        env=environment(ASYNCURING_WITHOUT_URING="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "building WITHOUT io_uring" in done.stdout
    return folder / "built"


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        env=environment(PYTHONPATH=str(folder)),
        capture_output=True,
        text=True,
        check=False,
    )


def test_threads_serve_and_say_why(without_liburing: Path) -> None:
    done = run("-c", PROGRAM, str(without_liburing), folder=without_liburing)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_report_says_that_io_uring_is_not_built_in(without_liburing: Path) -> None:
    done = run("-m", "asyncuring", folder=without_liburing)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert ["liburing", "none: built without it"] in lines
    assert ["driver", "threads"] in lines
    assert max(map(len, done.stdout.splitlines())) <= 80
