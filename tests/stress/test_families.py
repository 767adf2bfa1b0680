"""A busy process has children, by fork and multiprocessing: they work, and it does not notice."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.stress.children import EXIT_CODE
from tests.stress.families import CHILDREN
from tests.stress.lives import LOOPS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from asyncuring._runtime import DriverName

# Rounds on each loop, in a plain run (of those that import everything anew only on the first loop),
# and where attacks are recorded.
ROUNDS = {"os.fork": (2, 84), "fork": (2, 84), "forkserver": (1, 84), "spawn": (1, 84)}

# Not with -m: what main is made of a child would import anew.
PROGRAM = "from tests.stress.families import main; main()"


@pytest.fixture
def see_family(
    driver: DriverName, tmp_path: Path, run_programs: Callable[..., list[Any]]
) -> Callable[[str, str, int], Counter[int]]:
    """Runs a parent, on a loop, for so many rounds of children; returns their exit codes."""

    def see(method: str, loop: str, rounds: int) -> Counter[int]:
        folder = tmp_path / loop
        folder.mkdir()
        arguments = [method, loop, driver, str(folder), str(rounds)]
        (seen,) = run_programs([["-W", "ignore::DeprecationWarning", "-c", PROGRAM, *arguments]])
        assert seen["left"] == ["fifo", "read", "written"]
        return Counter(seen["codes"])

    return see


# Five hundred children that import everything, where attacks are recorded.
@pytest.mark.timeout(900)
@pytest.mark.parametrize("method", ROUNDS)
def test_children_work_and_the_parent_is_untouched(
    method: str,
    driver: DriverName,
    recording: bool,
    see_family: Callable[[str, str, int], Counter[int]],
    note_attack: Callable[..., None],
) -> None:
    rounds = ROUNDS[method][recording]
    loops = LOOPS if recording or "fork" in (method, method[3:]) else LOOPS[:1]
    codes = Counter[int]()
    for loop in loops:
        codes += see_family(method, loop, rounds)
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
