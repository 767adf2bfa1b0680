"""kernel.io_uring_disabled is 2: nobody in the whole system gets a ring, until it is restored."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.test_report import report_after
from tests.test_unavailable import attempts_after, check_fallback

if TYPE_CHECKING:
    from collections.abc import Iterator

SYSCTL = Path("/proc/sys/kernel/io_uring_disabled")

pytestmark = pytest.mark.usefixtures("uring")


@pytest.fixture
def disabled() -> Iterator[None]:
    if not SYSCTL.exists():
        pytest.skip("Linux has kernel.io_uring_disabled from 6.6 on")
    if not os.access(SYSCTL, os.W_OK):
        pytest.skip("only root can disable io_uring, and not in every container")
    if not os.environ.get("CI"):
        pytest.skip("it would hold for everybody on this machine; set CI=true if it is yours alone")
    before = SYSCTL.read_text()
    try:
        SYSCTL.write_text("2")
        yield
    finally:
        SYSCTL.write_text(before)


@pytest.mark.usefixtures("disabled")
def test_a_disabled_io_uring_is_named_and_threads_serve() -> None:
    asked, default = attempts_after("")
    assert asked["cause"] == "the sysctl kernel.io_uring_disabled is 2"
    assert "sysctl kernel.io_uring_disabled=0" in asked["remedy"]
    check_fallback(default, asked["cause"])


@pytest.mark.usefixtures("disabled")
def test_the_report_shows_the_sysctl() -> None:
    rows = report_after("")
    assert rows["works here"] == "no"
    assert rows["kernel.io_uring_disabled"] == "2"
