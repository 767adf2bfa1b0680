"""Invariant 8: a driver asked for by name never falls back, and a fallback says why.

Each refusal is the kernel's own, met in an interpreter of its own.
"""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import Any

import pytest

from tests.scripts import output_of

pytestmark = pytest.mark.usefixtures("uring")  # what is refused here must work at first

ROOT = Path(__file__).parent.parent

NOBODY = 65534

# What happens when io_uring is asked for by name, and what when nothing is asked for.
ATTEMPTS = f"""
import errno, resource
sys.path.insert(0, {str(ROOT)!r})
from tests.refusal import refuse

async def attempt(name):
    try:
        async with await asyncuring.open_file("/dev/zero", driver=name) as uring_file:
            count = await uring_file.read_at(bytearray(64), 0)
            running, = asyncuring.statistics().drivers
            return dict(driver=running.driver, reason=running.reason, count=count)
    except asyncuring.DriverUnavailableError as error:
        assert asyncuring.statistics().drivers == ()
        return dict(error=error.errno, cause=error.cause, remedy=error.remedy, text=str(error))
    except OSError as error:
        return dict(error=error.errno)

async def attempts():
    return await attempt("uring"), await attempt(None)
"""


def attempts_after(preparation: str) -> tuple[dict[str, Any], dict[str, Any]]:
    program = f"{ATTEMPTS}\n{preparation}\nprint(asyncio.run(attempts()))"
    asked, default = ast.literal_eval(output_of(program, "uring", "/dev/zero"))
    return asked, default


def check_fallback(default: dict[str, Any], cause: str) -> None:
    reason = f"io_uring does not work here: {cause}"
    assert default == {"driver": "threads", "reason": reason, "count": 64}


@pytest.mark.parametrize("syscall", ["io_uring_setup", "io_uring_enter"])
@pytest.mark.parametrize(
    ("answer", "cause", "remedy"),
    [
        ("EPERM", "seccomp", "profile"),
        ("EACCES", "seccomp", "profile"),
        ("ENOSYS", "the kernel has no io_uring", "newer kernel"),
    ],
)
def test_a_refused_system_call_is_named_and_threads_serve(
    syscall: str, answer: str, cause: str, remedy: str
) -> None:
    asked, default = attempts_after(f"refuse({syscall!r}, errno.{answer})")
    assert f"({answer})" in asked["text"]
    assert cause in asked["cause"]
    assert remedy in asked["remedy"]
    assert "driver='threads'" in asked["remedy"]
    check_fallback(default, asked["cause"])


def test_io_uring_serves_where_only_registering_is_refused() -> None:
    """Workers stay unlimited then; nothing else is registered."""
    asked, default = attempts_after("refuse('io_uring_register', errno.EPERM)")
    assert asked == {"driver": "uring", "reason": "asked for by name", "count": 64}
    assert default == {"driver": "uring", "reason": "io_uring works here", "count": 64}


@pytest.mark.parametrize("answer", ["EPERM", "ENOSYS"])
def test_files_are_opened_where_statx_is_refused(answer: str) -> None:
    """As by Linux before 4.11, and by filters older than it."""
    asked, default = attempts_after(f"refuse('statx', errno.{answer})")
    assert asked == {"driver": "uring", "reason": "asked for by name", "count": 64}
    assert default == {"driver": "uring", "reason": "io_uring works here", "count": 64}


def locked_memory(limit: int) -> str:
    """Limit it for somebody else than root, whom the kernel does not limit."""
    return f"""
resource.setrlimit(resource.RLIMIT_MEMLOCK, ({limit}, {limit}))

async def attempts():
    os.setresuid({NOBODY}, {NOBODY}, 0)
    try:
        return await attempt("uring"), await attempt(None)
    finally:
        os.setresuid(0, 0, 0)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody whom nobody else is")
def test_a_limit_on_locked_memory_is_named_and_threads_serve() -> None:
    asked, default = attempts_after(locked_memory(0))
    assert "(ENOMEM)" in asked["text"]
    assert "RLIMIT_MEMLOCK" in asked["cause"]
    assert "ulimit -l" in asked["remedy"]
    check_fallback(default, asked["cause"])


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody whom nobody else is")
def test_io_uring_serves_with_as_little_locked_memory_as_many_systems_grant() -> None:
    asked, default = attempts_after(locked_memory(64 * 1024))
    assert asked["driver"] == default["driver"] == "uring"


def test_a_process_out_of_descriptors_is_told_so_and_recovers() -> None:
    """Nothing can fall back then: threads need descriptors too."""
    asked, default = attempts_after("""
before = resource.getrlimit(resource.RLIMIT_NOFILE)

async def attempts():
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))
    try:
        refused = await attempt("uring"), await attempt(None)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert (await attempt("uring"))["driver"] == (await attempt(None))["driver"] == "uring"
    assert os.dup(0) == lowest_free
    return refused
""")
    assert "(EMFILE)" in asked["text"]
    assert "file descriptors" in asked["cause"]
    assert "ulimit -n" in asked["remedy"]
    assert default == {"error": asked["error"]}


def test_a_file_on_threads_keeps_them_when_io_uring_works_again() -> None:
    """And a driver that was refused once is tried again for the next file."""
    fallback, _names = attempts_after("""
async def attempts():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with await asyncuring.open_file("/dev/zero", driver="threads") as uring_file:
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + 1, before[1]))
        fallback = await attempt(None)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        async with await asyncuring.open_file("/dev/zero"):
            names = [running.driver for running in asyncuring.statistics().drivers]
            assert names == ["threads", "uring"], names
    return fallback, dict(names=names)
""")
    check_fallback(fallback, "the process or the system is out of file descriptors")
