"""Nothing is lost of what goes wrong once in thousands of lives: a log is all there is of it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.stress.lives import BAD_LIFE, BAD_MAX, GOES_WRONG, LOOPS
from tests.stress.programs import ROOT

if TYPE_CHECKING:
    from pathlib import Path

JOBS = 2
RUNS = BAD_MAX + 1
TEST = f"""
from tests.stress.programs import run_programs_beside

def test_it(tmp_path, capfd):
    places = [tmp_path / str(job) for job in range({JOBS})]
    for place in places:
        place.mkdir()
    run_programs_beside(
        [
            ["-m", "tests.stress.lives", "{BAD_LIFE}", "threads", str(place), "{RUNS}"]
            for place in places
        ],
        capfd,
    )
"""


def test_all_that_bad_lives_said_is_in_the_last_lines_of_a_log(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    # No more than what continuous integration ends with.
    program = [sys.executable, "-m", "pytest", "--tb=no", "--basetemp", str(tmp_path / "temp")]
    done = subprocess.run(
        [*program, str(tmp_path / "test_it.py")],
        cwd=ROOT,
        env={**os.environ, "CI": "yes"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    log = done.stdout
    for number in range(BAD_MAX):
        head = f"Life {number} of {RUNS}: it {BAD_LIFE}, on {LOOPS[number % 3]}, driver threads; it"
        assert log.count(head) == JOBS
    assert log.count("its exit status is -6, and should be 0\n") == JOBS * BAD_MAX
    assert log.count(f"What it said:\n{GOES_WRONG}") == JOBS * BAD_MAX
    assert log.count("in goes_wrong") == JOBS * BAD_MAX  # where it was, says faulthandler
