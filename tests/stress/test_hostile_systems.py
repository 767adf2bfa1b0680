"""Systems that refuse io_uring, or have no memory or descriptor for it: each driver and loop.

Works, falls back and says why, or is an error that names cause and remedy; never a hang.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.stress.attempts import (
    AS_NOBODY,
    DRIVERS,
    Outcome,
    attempts_after,
    check_refused,
    check_served,
)

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("uring")  # what is refused here must work at first

REFUSED = "uring and uring-local refused with cause and remedy; none asked for: threads, and why"


ANSWERS = ["EPERM", "EACCES", "ENOSYS"]
EACH = "each driver and none, asyncio and trio"


@pytest.mark.parametrize("syscall", ["io_uring_setup", "io_uring_enter", "io_uring_register"])
def test_a_filter_that_refuses_one_system_call(
    syscall: str, note_attack: Callable[..., None]
) -> None:
    tried = [f"refuse({syscall!r}, errno.{answer})" for answer in ANSWERS]
    outcome = REFUSED
    for number, outcomes in enumerate(attempts_after(*tried)):
        answer = ANSWERS[number // 2]
        cause = "the kernel has no io_uring" if answer == "ENOSYS" else "seccomp"
        if syscall == "io_uring_register":  # only rings of ports cannot do without
            assert outcomes["uring-local"]["error"] == answer
            assert cause in outcomes["uring-local"]["cause"]
            check_served({**outcomes, "uring-local": {"driver": "uring-local"}})
            outcome = "uring-local refused with cause and remedy; uring and threads served"
        else:
            check_refused(outcomes, answer, cause)
    what = f"seccomp answers {', '.join(ANSWERS)} to {syscall}"
    note_attack("hostile system", what, EACH, "24 files", outcome)


LOCKED_MEMORY = f"resource.setrlimit(resource.RLIMIT_MEMLOCK, ({{limit}}, {{limit}}))\n{AS_NOBODY}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody whom nobody else is")
def test_a_limit_on_locked_memory(note_attack: Callable[..., None]) -> None:
    """64 KiB, once the default, is room for one ring: the next waits until its memory is back."""
    often = """
async def main():
    *_, last = [await attempt_all() for _ in range(4)]
    return last
"""
    none, little = (LOCKED_MEMORY.format(limit=limit) for limit in (0, 64 * 1024))
    *refused, served, served_on_trio = attempts_after(none, little + often)
    for outcomes in refused:
        check_refused(outcomes, "ENOMEM", "RLIMIT_MEMLOCK")
    for outcomes in (served, served_on_trio):
        check_served(outcomes)
    what = "RLIMIT_MEMLOCK, not as root: "
    note_attack("hostile system", what + "0", EACH, "8 files", REFUSED)
    note_attack("hostile system", what + "64 KiB", EACH, "32 files, one after the other", "served")


# Beyond what any driver needs to start, to attach a loop and to open a file.
DESCRIPTORS = 16
FEW_DESCRIPTORS = f"""
def lowest_free():
    fd = os.dup(0)
    os.close(fd)
    return fd

async def with_few(name, left):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = lowest_free()
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + left, before[1]))
    try:
        return await attempt(name)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert lowest_free() == free, (name, left)

async def main():
    before = len(os.listdir("/proc/self/fd"))
    outcomes = {{}}
    for name in [{", ".join(map(repr, [*DRIVERS, None]))}]:
        outcomes[name] = [await with_few(name, left) for left in range({DESCRIPTORS})]
        assert (await attempt(name))["driver"] == name or name is None
    assert len(os.listdir("/proc/self/fd")) == before
    return outcomes
"""


def test_few_descriptors_left(note_attack: Callable[..., None]) -> None:
    """From none up to enough: so each step of starting, attaching and opening fails once."""
    for by_driver in attempts_after(FEW_DESCRIPTORS):
        of_drivers: dict[str | None, list[Outcome]] = by_driver  # type: ignore[assignment]
        for name, of_driver in of_drivers.items():
            served = ["error" not in outcome for outcome in of_driver]
            assert served == sorted(served), (name, of_driver)
            assert True in served
            assert all(outcome.get("error", "EMFILE") == "EMFILE" for outcome in of_driver)
            # By default few descriptors are a reason for threads, where these can do with them.
            assert name is not None or of_driver[-1]["driver"] == "uring"
    note_attack(
        "hostile system",
        f"0 to {DESCRIPTORS - 1} descriptors left",
        EACH,
        f"{8 * DESCRIPTORS} files",
        "too few: EMFILE; enough: served; none lost, and all well afterwards",
    )


# A further loop, in a thread, needs a port of a driver that runs; uring-local makes a ring for it.
SECOND_LOOP = """
import asyncio, threading

async def main():
    return {name: await with_second_loop(name) for name in DRIVERS}

async def with_second_loop(name):
    outcomes = []
    async with await asyncuring.open_file("/dev/zero", driver=name) as zeros:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)

        async def second():
            lowest_free = os.dup(0)
            os.close(lowest_free)
            for left in range(8):
                resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + left, before[1]))
                try:
                    outcomes.append(await zeros.read_at(bytearray(8), 0))
                except OSError as error:
                    outcomes.append(errno.errorcode[error.errno])
                finally:
                    resource.setrlimit(resource.RLIMIT_NOFILE, before)

        thread = threading.Thread(target=LOOPS[loop], args=(second,))
        thread.start()
        while thread.is_alive():
            await checkpoint()
    return outcomes
"""


def test_no_descriptor_left_for_a_second_loop(note_attack: Callable[..., None]) -> None:
    for by_driver in attempts_after(SECOND_LOOP):
        for name, outcomes in by_driver.items():
            refused = list(outcomes).count("EMFILE")
            assert refused > 0, name
            assert list(outcomes) == ["EMFILE"] * refused + [8] * (8 - refused), name
    note_attack(
        "hostile system",
        "0 to 7 descriptors left when a second loop uses a file",
        "each driver, asyncio and trio",
        "48 reads",
        "too few: EMFILE; enough: served",
    )
