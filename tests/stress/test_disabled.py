"""kernel.io_uring_disabled, until it is restored.

2: nobody in the whole system gets a ring. 1: who is root, or in the group kernel.io_uring_group.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.stress.attempts import AS_NOBODY, attempts_after, check_refused, check_served
from tests.stress.sysctls import put_back
from tests.test_report import report_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SYSCTL = Path("/proc/sys/kernel/io_uring_disabled")

pytestmark = pytest.mark.usefixtures("uring")


@pytest.fixture(params=["2"])
def disabled(request: pytest.FixtureRequest) -> Iterator[None]:
    if not SYSCTL.exists():
        pytest.skip("Linux has kernel.io_uring_disabled from 6.6 on")
    with put_back(SYSCTL, "disable io_uring"):
        SYSCTL.write_text(request.param)
        yield


EACH = "each driver and none, asyncio and trio"
REFUSED = "uring and uring-local refused with cause and remedy; none asked for: threads, and why"


@pytest.mark.usefixtures("disabled")
def test_a_disabled_io_uring_is_named_and_threads_serve(note_attack: Callable[..., None]) -> None:
    for outcomes in attempts_after(""):
        check_refused(outcomes, "EPERM", "the sysctl kernel.io_uring_disabled is 2")
        assert "sysctl kernel.io_uring_disabled=0" in outcomes["uring"]["remedy"]
    note_attack("hostile system", "kernel.io_uring_disabled is 2", EACH, "8 files", REFUSED)


@pytest.mark.parametrize("disabled", ["1"], indirect=True)
@pytest.mark.usefixtures("disabled")
def test_an_io_uring_for_a_group_alone_serves_root(note_attack: Callable[..., None]) -> None:
    served, served_on_trio, *refused = attempts_after("", AS_NOBODY)
    for outcomes in (served, served_on_trio):
        check_served(outcomes)
    for outcomes in refused:
        check_refused(outcomes, "EPERM", "the sysctl kernel.io_uring_disabled is 1")
        assert "kernel.io_uring_group" in outcomes["uring"]["remedy"]
    what = "kernel.io_uring_disabled is 1"
    note_attack("hostile system", f"{what}, as root", EACH, "8 files", "all served")
    note_attack("hostile system", f"{what}, not as root", EACH, "8 files", REFUSED)


@pytest.mark.usefixtures("disabled")
def test_the_report_shows_the_sysctl() -> None:
    rows = report_after("")
    assert rows["works here"] == "no"
    assert rows["kernel.io_uring_disabled"] == "2"
