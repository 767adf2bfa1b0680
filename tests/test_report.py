from __future__ import annotations

import re
import subprocess
import sys

import pytest

from asyncuring import __version__, _report
from tests.scripts import output_of
from tests.test_unavailable import ATTEMPTS

SECTIONS = ["asyncuring", "io_uring", "Opcodes", "Limits", "A read of"]

COLUMN = 30  # where the answers stand


def rows_of(text: str) -> dict[str, str]:
    """The report's rows; and each of its lines has the form that makes it readable."""
    rows: dict[str, str] = {}
    titles = []
    name = ""
    for line in filter(None, text.splitlines()):
        assert len(line) <= 80, line
        assert line.isascii()
        assert line == line.rstrip()
        if not line.startswith(" "):
            titles.append(line)
        elif line[:COLUMN].isspace():
            rows[name] += " " + line[COLUMN:]
        else:
            name = line[:COLUMN].strip()
            assert line[COLUMN - 1] == " " != line[COLUMN], line
            assert name not in rows
            rows[name] = line[COLUMN:]
    assert [title for title, start in zip(titles, SECTIONS, strict=True) if title.startswith(start)]
    return rows


@pytest.mark.usefixtures("uring")
def test_report_says_what_runs_here_and_why() -> None:
    # In a process of its own: pytest may import packages in its own way, which runpy cannot follow.
    command = [sys.executable, "-W", "error", "-m", "asyncuring"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = rows_of(text)
    assert text.startswith(f"asyncuring {__version__}\n")
    assert rows["works here"].startswith("yes")
    assert rows["driver='uring-local'"].startswith("works here, too")
    assert rows["driver"] == "uring"
    assert rows["reason"] == "io_uring works here"
    assert "READ yes" in rows["used"]
    assert "FALLOCATE yes" in rows["used"]
    assert re.fullmatch(r"(\d+(-\d+)?(, |$))+", rows["others, by number"])
    assert rows["operations submitted"] == "2"
    assert int(rows["io_uring_enter calls"]) > 0
    durations = re.findall(r"([\d.]+) (?:ns|us|ms|s)\b", rows["time of the read"])
    assert len(durations) == 3
    assert {"RLIMIT_MEMLOCK", "RLIMIT_NOFILE", "liburing", "Python", "system"} <= set(rows)
    assert rows["kernel.io_uring_disabled"]


def report_after(preparation: str) -> dict[str, str]:
    """Of a process of its own, which ends well whatever it reports."""
    program = f"{ATTEMPTS}\n{preparation}\nimport runpy\nrunpy.run_module('asyncuring')"
    return rows_of(output_of(program, "uring", "/dev/zero"))


@pytest.mark.usefixtures("uring")
def test_report_names_cause_and_remedy_where_io_uring_is_refused() -> None:
    rows = report_after("refuse('io_uring_setup', errno.EPERM)")
    assert rows["works here"] == "no"
    assert "seccomp" in rows["cause"]
    assert "profile" in rows["remedy"]
    assert rows["the kernel's answer"] == "EPERM: Operation not permitted"
    assert "does not say" in rows["unknown"]
    assert rows["driver"] == "threads"
    assert rows["reason"].endswith(rows["cause"])


@pytest.mark.usefixtures("uring")
def test_report_does_not_guess_opcodes_that_the_kernel_will_not_tell() -> None:
    rows = report_after("refuse('io_uring_register', errno.EPERM)")
    assert rows["works here"].startswith("yes")
    assert "used" not in rows
    assert rows["driver"] == "uring"


@pytest.mark.usefixtures("uring")
def test_report_is_printed_where_no_driver_can_start() -> None:
    rows = report_after("""
# Room for an event loop, and no more.
loop = asyncio.new_event_loop()
lowest_free = os.dup(0)
loop.close()
resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, 9999))
""")
    assert rows["works here"].startswith("yes")  # before there was a loop
    assert "Too many open files" in rows["failed"]


def test_numbers_are_gathered_into_ranges() -> None:
    assert _report._ranges([1, 2, 3, 7, 9, 10]) == "1-3, 7, 9-10"
    assert _report._ranges([]) == ""


def test_a_sysctl_that_is_not_there_is_said_to_be_newer() -> None:
    assert "6.6" in _report._sysctl("asyncuring_no_such_name")
