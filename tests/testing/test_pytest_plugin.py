"""The pytest plugin: its fixtures, and what a failure shows."""

from __future__ import annotations

import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytest_plugins = ["pytester"]

# Plugins that take time to start.
OTHERS_OFF = [
    f"-pno:{name}" for name in ("hypothesispytest", "benchmark", "xdist", "cacheprovider")
]

PREAMBLE = """
import asyncuring
from asyncuring.testing import run

async def write(disk, promised=None):
    async with await asyncuring.open_file(disk.path / "file", "w+", driver=disk) as file:
        await file.write_all_at(b"content", 0)
    if promised is not None:
        promised.append("content")

async def look(disk):
    return (disk.path / "file").exists()

def check(found, promised):
    assert found or not promised
"""


@pytest.fixture
def outcome(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Runs tests that are given as text."""

    def outcome(tests: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(PREAMBLE + tests)
        return pytester.runpytest_inprocess(*OTHERS_OFF, "-W", "error", *options)

    return outcome


def test_each_test_has_a_disk_of_its_own_which_goes_with_it(
    outcome: Callable[..., pytest.RunResult],
) -> None:
    done = outcome("""
paths = []

def test_first(simulated_disk):
    run(write, simulated_disk)
    paths.append(simulated_disk.path)

def test_second(simulated_disk):
    assert not paths[0].exists()
    assert simulated_disk.operations == 0
    assert list(simulated_disk.path.iterdir()) == []
""")
    done.assert_outcomes(passed=2)


def test_a_failure_shows_the_seed_and_the_trace(outcome: Callable[..., pytest.RunResult]) -> None:
    tests = """
def test_it(simulated_disk):
    run(write, simulated_disk)
    assert simulated_disk.seed == 7
"""
    done = outcome(tests)
    done.assert_outcomes(failed=1)
    seed = zlib.crc32(b"test_it")
    done.stdout.fnmatch_lines([f"*simulated disk (--disk-seed={seed})*", "*write file 7 bytes*"])
    done = outcome(tests, "--disk-seed", "7")
    done.assert_outcomes(passed=1)
    assert "write file" not in done.stdout.str()


def test_crash_tests_take_their_seeds_from_the_command_line(
    outcome: Callable[..., pytest.RunResult],
) -> None:
    tests = """
async def nothing(disk, promised):
    seeds.add(disk.seed)

seeds = set()

def test_it(crash_test):
    assert crash_test(nothing, look, check) == len(seeds)
    print("seeds", *sorted(seeds))
"""
    outcome(tests, "-s", "--crash-seeds=5").stdout.fnmatch_lines(["*seeds 0 1 2 3 4*"])
    outcome(tests, "-s", "--disk-seed=9").stdout.fnmatch_lines(["*seeds 9*"])


def test_a_crash_test_that_fails_says_how_to_replay_it(
    outcome: Callable[..., pytest.RunResult],
) -> None:
    done = outcome("""
def test_it(crash_test):
    crash_test(write, look, check)
""")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        ["*CrashTestError*", "*with seeds=[[]0], cut_at=*", "*open file: ok*"]
    )


def test_the_plugin_imports_nothing_of_the_library_before_it_is_wanted() -> None:
    program = (
        "import sys, asyncuring_pytest;"
        "print([name for name in sys.modules if name.partition('.')[0] == 'asyncuring'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"[]\n"
