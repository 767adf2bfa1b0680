"""Each call of a kind that a program makes in its life fails once: the first, the second, …

The program is `whole_life.py`, and strace makes the call fail. Nothing hangs, nothing is lost; what
cannot be had is an error with its cause, and nothing is left of it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.stress.attempts import DRIVERS, LOOPS_TRIED
from tests.stress.whole_life import ANY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).parents[2]
RINGS = ["uring", "uring-local"]
SECONDS_MAX = 120
SEED = 6
# So many of the calls of a life, the first among them, where the attack is not recorded.
SAMPLE = 2

pytestmark = [pytest.mark.usefixtures("uring"), pytest.mark.timeout(1200)]


class Life(NamedTuple):
    """What came of one; the most calls of the kind in one of its threads; how many failed."""

    driver: str
    loop: str
    outcome: str
    calls: int
    failed: int

    @classmethod
    def of_record(cls, driver: str, loop: str, outcome: str, record: str, syscall: str) -> Life:
        """Read strace's `record` of it."""
        threads = Counter(re.findall(rf"^(\d+) +{syscall}\(", record, re.MULTILINE))
        most = max(threads.values(), default=0)
        return cls(driver, loop, outcome, most, record.count("(INJECTED)"))


def live(strace: str, syscall: str, drivers: Sequence[str], failing: str = "") -> list[Life]:
    """Run the program, for each driver and loop."""
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace"
        command = [strace, "-f", "--seccomp-bpf", "-qq", "-o", str(trace)]
        command += ["-e", f"trace={syscall},getppid", "-e", "signal=none"]
        command += ["-e", f"inject={syscall}:{failing}"] if failing else []
        program = [sys.executable, "-W", "error", "-W", "ignore::ResourceWarning"]
        program += ["-m", "tests.stress.whole_life", folder, *drivers]
        done = subprocess.run(
            [*command, *program],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS_MAX,
        )
        assert (done.returncode, done.stderr) == (0, ""), (failing, done.stdout, done.stderr)
        records = trace.read_text().split("getppid()")[1:]
    outcomes = done.stdout.splitlines()
    lives = [(driver, loop) for driver in drivers for loop in LOOPS_TRIED]
    assert len(lives) == len(outcomes) == len(records)
    return [
        Life.of_record(*life, outcome, record, syscall)
        for life, outcome, record in zip(lives, outcomes, records, strict=True)
    ]


def each_failing(
    strace: str, syscall: str, drivers: Sequence[str], error: str, *, all_of_them: bool
) -> Iterator[Life]:
    """The lives in which the n-th call failed with `error`, for each n, or some of them."""
    most = max(life.calls for life in live(strace, syscall, drivers))
    numbers = list(range(1, most + 1))
    if not all_of_them and most > SAMPLE:
        numbers = [1, *Random(f"{SEED} {error}").sample(numbers[1:], SAMPLE - 1)]
    for number in numbers:
        for life in live(strace, syscall, drivers, f"error={error}:when={number}"):
            assert life.failed or life.calls < number, life
            if life.failed:
                yield life


@pytest.mark.parametrize("error", ["EINTR", "EAGAIN", "EBUSY", "ENOMEM"])
def test_an_enter_that_fails_once_is_not_noticed(
    strace: str, error: str, recording: bool, note_attack: Callable[..., None]
) -> None:
    count = 0
    for life in each_failing(strace, "io_uring_enter", RINGS, error, all_of_them=recording):
        assert life.outcome == life.driver
        count += 1
    assert count > 0
    note_attack(
        "hostile system",
        f"io_uring_enter fails with {error}, each call of a program's life once (strace)",
        "uring and uring-local, asyncio and trio",
        f"{count} lives: open, write, read, chain, sync, cancel, close, exit",
        "each result as it should be, each life ended",
    )


def check_answered(life: Life, error: str) -> None:
    """Served, or refused with that error, or by threads, and why."""
    if life.driver == ANY:
        answers = ["uring: io_uring works here", "threads: io_uring does not work here: "]
    else:
        answers = [life.driver, f"refused {error}: "]
    assert life.outcome.startswith((*answers, f"failed {error}: ")), life


@pytest.mark.parametrize(
    ("syscall", "errors"),
    [
        ("io_uring_setup", ["ENFILE", "EMFILE", "ENOMEM", "EPERM"]),
        ("io_uring_register", ["EPERM", "EINVAL", "ENOMEM", "EBUSY"]),
        ("eventfd2", ["ENFILE", "EMFILE", "ENOMEM"]),
        ("memfd_create", ["ENFILE", "EMFILE", "ENOMEM"]),
    ],
)
def test_what_a_driver_cannot_get_is_told(
    strace: str,
    syscall: str,
    errors: list[str],
    recording: bool,
    note_attack: Callable[..., None],
) -> None:
    outcomes = []
    drivers = [*DRIVERS, ANY] if recording else ["uring-local", ANY]
    for error in errors if recording else errors[:1]:
        for life in each_failing(strace, syscall, drivers, error, all_of_them=recording):
            check_answered(life, error)
            outcomes.append(life.outcome)
    assert outcomes
    told = sum(outcome.startswith(("refused", "failed")) for outcome in outcomes)
    instead = sum(outcome.startswith("threads: ") for outcome in outcomes)
    note_attack(
        "hostile system",
        f"{syscall} fails with {', '.join(errors)}, each call of a program's life once (strace)",
        "each driver and none, asyncio and trio",
        f"{len(outcomes)} lives",
        f"{told} refused with that error, {instead} on threads instead, and why; "
        f"{len(outcomes) - told - instead} served; nothing left open",
    )
