"""`crash_test`: a program, a power cut at each point of it, and what is found afterwards."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, Literal

from ._clock import run
from ._disk import SimulatedDisk

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

    from ._crash import CrashState

__all__ = ["CrashTestError", "crash_test"]


class CrashTestError(AssertionError):
    """What was found after a power cut is not right; the text replays it.

    Attributes:
        seed: of the disk.
        cut_at: the operation at which the power was cut.
        state: what the disk held then, in words.
    """

    def __init__(self, disk: SimulatedDisk, cut_at: int, state: CrashState, error: object) -> None:
        """Say what was found, and how to find it again."""
        self.seed, self.cut_at, self.state = disk.seed, cut_at, state.description
        replay = f"with seeds=[{self.seed}], cut_at=[{cut_at}], and on the disk: {self.state}"
        super().__init__(f"{error!r}\n{replay}\n{disk.trace}")


def crash_test(  # noqa: PLR0913  the three programs, and how often
    workload: Callable[[SimulatedDisk, list[Any]], Awaitable[object]],
    recover: Callable[[SimulatedDisk], Awaitable[Any]],
    check: Callable[[Any, list[Any]], object],
    *,
    seeds: Iterable[int] = range(3),
    points: int | None = None,
    cut_at: Iterable[int] | None = None,
    states: int = 20,
    loop: Literal["asyncio", "trio"] = "asyncio",
) -> int:
    """Run a program, cut the power at each of its operations, and look what can be recovered.

    Each run is in virtual time (`run`) and on an empty disk of its own.

    Args:
        workload: the program. It gets the disk, to which it may add rules, and a list: what it may
            rely on from now on it appends there. When the power is gone it may end as it likes.
        recover: what runs after the restart, on the disk with what is left; its result is checked.
        check: gets that result and the list; raises, AssertionError for instance, if they do not
            agree.
        seeds: of the disks: of the order of operations, and of what is drawn by rules.
        points: at how many operations, drawn by the seed, the power is cut; None: at each of them,
            and once behind the last.
        cut_at: at which operations; None: see `points`.
        states: after each cut, of the states that it may leave, so many are tried
            (`SimulatedDisk.crash_states`).
        loop: "asyncio" or "trio".

    Returns:
        How many states were recovered from.

    Raises:
        CrashTestError: of the first that was not right, with seed, operation, state and trace.
        Exception: the workload's own, if it fails though the disk has power.
    """
    count = 0
    for seed in seeds:
        with SimulatedDisk(seed) as disk:
            run(workload, disk, [], loop=loop)
            last = disk.operations + 1
        for point in cut_at or _points(last, points, seed):
            with SimulatedDisk(seed) as disk:
                promised = _run_until_cut(workload, disk, point, loop)
                for state in disk.crash_states(states):
                    state.restore()
                    try:
                        check(run(recover, disk.restart(), loop=loop), promised)
                    except Exception as error:  # whatever it is: raised, with what led to it
                        raise CrashTestError(disk, point, state, error) from error
                    count += 1
    return count


def _points(last: int, points: int | None, seed: int) -> Iterator[int]:
    every = range(1, last + 1)
    drawing = Random(seed)  # noqa: S311  a simulation's
    yield from every if points is None else sorted(drawing.sample(every, min(points, last)))


def _run_until_cut(
    workload: Callable[[SimulatedDisk, list[Any]], Awaitable[object]],
    disk: SimulatedDisk,
    point: int,
    loop: Literal["asyncio", "trio"],
) -> list[Any]:
    """Run the workload; returns what it has promised."""
    promised: list[Any] = []
    disk.cut_power_at(point)
    try:
        run(workload, disk, promised, loop=loop)
    except Exception:  # however a program ends that finds the disk dead
        if not disk.is_dead:
            raise
    return promised
