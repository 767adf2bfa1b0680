"""A busy process has children, by fork and multiprocessing: they work, and it does not notice."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.stress.families import CHILDREN, EXIT_CODE
from tests.stress.lives import LOOPS

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncuring._runtime import DriverName

ROOT = Path(__file__).parents[2]

# Rounds on each loop, in a plain run (of those that import everything anew only on the first loop),
# and where attacks are recorded.
ROUNDS = {"os.fork": (2, 84), "fork": (2, 84), "forkserver": (1, 5), "spawn": (1, 5)}


@pytest.mark.timeout(240)  # where attacks are recorded
@pytest.mark.parametrize("method", ROUNDS)
def test_children_work_and_the_parent_is_untouched(
    method: str,
    driver: DriverName,
    tmp_path: Path,
    recording: bool,
    note_attack: Callable[..., None],
) -> None:
    rounds = ROUNDS[method][recording]
    loops = LOOPS if recording or "fork" in (method, method[3:]) else LOOPS[:1]
    codes = Counter[int]()
    for loop in loops:
        folder = tmp_path / loop
        folder.mkdir()
        program = [
            sys.executable,
            "-W",
            "ignore::DeprecationWarning",
            "-m",
            "tests.stress.families",
        ]
        arguments = [method, loop, driver, str(folder), str(rounds)]
        done = subprocess.run(
            [*program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        seen = json.loads(done.stdout)
        assert seen["left"] == ["fifo", "read", "written"]
        codes += Counter(seen["codes"])
    assert codes == {EXIT_CODE: len(loops) * rounds * CHILDREN}
    note_attack(
        "lifecycle",
        f"children by {method if method == 'os.fork' else f'multiprocessing ({method})'}, FIFO "
        "reads, direct reads and writes of the parent in flight",
        f"{driver}; {', '.join(loops)}",
        f"{sum(codes.values())} children, {CHILDREN} at a time",
        "each read and wrote with all drivers; of the parent 0 operations lost, 0 bytes wrong, 0 "
        "acknowledged writes missing",
    )
