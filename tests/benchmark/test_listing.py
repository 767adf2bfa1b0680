"""`list`: what there is to measure with, and what is missing for it."""

from __future__ import annotations

import pytest

from asyncuring.benchmark import terminal
from asyncuring.benchmark.cli import main
from asyncuring.benchmark.engines import ENGINES
from asyncuring.benchmark.plan import committed_plans
from asyncuring.benchmark.workload import WORKLOADS


@pytest.fixture
def listed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    # So wide that no line is broken.
    monkeypatch.setattr(terminal.console, "width", 1000)
    assert main(["list"]) == 0
    return [line.strip() for line in capsys.readouterr().out.splitlines()]


def test_all_engines_workloads_and_plans_are_listed(listed: list[str]) -> None:
    names = {line.split()[0] for line in listed if line}
    assert names > ENGINES.keys() | WORKLOADS.keys() | committed_plans().keys()


def test_engines_that_take_part_by_default_have_a_star(listed: list[str]) -> None:
    starred = {line.split()[0] for line in listed if line.split()[1:2] == ["*"]}
    assert starred == {engine.name for engine in ENGINES.values() if engine.by_default}


def test_what_is_missing_is_said_with_the_remedy(listed: list[str]) -> None:
    missing = [found for engine in ENGINES.values() if (found := engine.missing())]
    assert [line for line in listed if line.startswith("MISSING")] == [
        f"MISSING: {found}" for found in missing
    ]


def test_list_takes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "engines"]) == 2
    assert "unrecognized arguments: engines" in capsys.readouterr().err
