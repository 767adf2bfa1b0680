from __future__ import annotations

import shutil
import subprocess
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.stress.attacks import Attack, write_attacks
from tests.stress.programs import run_programs_beside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record-attacks", action="store_true", help="write what was tried into docs/attacks.csv"
    )


@pytest.fixture(scope="session")
def noted_attacks(request: pytest.FixtureRequest) -> Iterator[list[Attack]]:
    attacks: list[Attack] = []
    yield attacks
    if request.config.getoption("--record-attacks"):
        write_attacks(attacks)


@pytest.fixture(scope="session")
def recording(request: pytest.FixtureRequest) -> bool:
    """Whether the attacks of this run go into the table: then there are more of them."""
    return bool(request.config.getoption("--record-attacks"))


@pytest.fixture
def note_attack(noted_attacks: list[Attack]) -> Callable[[str, str, str, str, str], None]:
    """Note what was tried, and what came out; see `Attack` for the five texts."""

    def note(*texts: str) -> None:
        noted_attacks.append(Attack(*texts))

    return note


@pytest.fixture
def run_programs(capfd: pytest.CaptureFixture[str]) -> Callable[[list[list[str]]], list[Any]]:
    """See `run_programs_beside`."""
    return partial(run_programs_beside, capfd=capfd)


@pytest.fixture(scope="session")
def strace() -> str:
    """A strace that may trace and can make calls fail."""
    program = shutil.which("strace")
    if program is None:
        pytest.skip("strace is not installed")
    tried = subprocess.run(
        [program, "-qq", "-e", "inject=getppid:error=EPERM", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode != 0:
        pytest.skip(f"strace may not trace here: {tried.stderr.strip()}")
    return program
