"""Plans: what they may say, what is refused, and that the command line has the last word."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from asyncuring.benchmark.cli import main
from asyncuring.benchmark.engines import ENGINES
from asyncuring.benchmark.options import OPTIONS, completed, overridden
from asyncuring.benchmark.plan import committed_plans, read_plan
from asyncuring.benchmark.refusals import refuse
from asyncuring.benchmark.sweep import Sweep

if TYPE_CHECKING:
    from pathlib import Path

TWO_SWEEPS = """
summary = "two"

[[sweep]]
engines = ["null", "blocking"]
clients = [1, 2]
ops-per-client = 5
file-size = "1MiB"

[[sweep]]
engines = "null"
clients = 1
duration = "50ms"
file-size = "1MiB"
direct = true
"""


def sweep_records(out: Path) -> list[dict[str, Any]]:
    lines = (out / "records.jsonl").read_text().splitlines()
    return [record for line in lines if (record := json.loads(line))["kind"] == "sweep"]


def test_all_sweeps_of_a_plan_go_into_one_report(tmp_path: Path, files: Path) -> None:
    plan, out = tmp_path / "two.toml", tmp_path / "out"
    plan.write_text(TWO_SWEEPS)
    assert main(["--plan", str(plan), "--out", str(out), "--dir", str(files)]) == 0
    first, second = sweep_records(out)
    assert (first["engines"], first["clients"], first["ops_per_client"]) == (
        ["null", "blocking"],
        [1, 2],
        5,
    )
    assert (second["engines"], second["clients"], second["direct"]) == (["null"], [1], True)
    lines = (out / "records.jsonl").read_text().splitlines()
    assert len(lines) == 1 + 2 + 4 + 1


def test_the_command_line_overrides_each_sweep(tmp_path: Path, files: Path) -> None:
    plan, out = tmp_path / "two.toml", tmp_path / "out"
    plan.write_text(TWO_SWEEPS)
    arguments = ["--plan", str(plan), "--out", str(out), "--dir", str(files)]
    assert main([*arguments, "--clients", "3", "--duration", "20ms"]) == 0
    for record in sweep_records(out):
        assert (record["clients"], record["duration_s"]) == ([3], 0.02)
        assert record["ops_per_client"] is None


def test_equal_trials_of_two_sweeps_are_run_once(tmp_path: Path, files: Path) -> None:
    plan, out = tmp_path / "twice.toml", tmp_path / "out"
    once = TWO_SWEEPS.partition('[[sweep]]\nengines = "null"')[0]
    plan.write_text(once + "[[sweep]]" + once.partition("[[sweep]]")[2])
    assert main(["--plan", str(plan), "--out", str(out), "--dir", str(files)]) == 0
    assert len((out / "records.jsonl").read_text().splitlines()) == 1 + 2 + 4


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[sweep]\n", "is no TOML: "),
        ("clients = 5\n", "unknown key 'clients'; a plan has a summary and tables [[sweep]]"),
        ("summary = 1\n[[sweep]]\n", "the summary is no text"),
        ("", "has no table [[sweep]]"),
        ("sweep = []\n", "has no table [[sweep]]"),
        ("[sweep]\nclients = 1\n", "has no table [[sweep]]"),
        ("[[sweep]]\n[[sweep]]\nclient = 1\n", "sweep 2: unknown key 'client'; known are engines,"),
        ("[[sweep]]\nout = 'x'\n", "sweep 1: unknown key 'out'"),
        ("[[sweep]]\nclients = 0\n", "sweep 1, clients: '0' is not a whole number from 1 on"),
        ("[[sweep]]\nclients = [1, true]\n", "clients: True is neither a number nor a text"),
        ("[[sweep]]\ndirect = 1\n", "direct: 1 is neither true nor false"),
        ("[[sweep]]\nblock-size = 8192.5\n", "block-size: '8192.5' is not a size"),
        ("[[sweep]]\nengines = ['nosuch']\n", "engines: 'nosuch' is not one of asyncuring, "),
        (
            "[[sweep]]\nduration = '1s'\nops-per-client = 1\n",
            "sweep 1: duration and ops-per-client",
        ),
        ("[[sweep]]\nbatch = 2\n", ": --batch belongs to --workload read-many"),
        ("[[sweep]]\n[[sweep]]\nbatch = 2\n", "sweep 2: --batch belongs to --workload read-many"),
    ],
)
def test_a_wrong_plan_is_refused_with_file_table_and_key(
    text: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "wrong.toml"
    plan.write_text(text)
    assert main(["--plan", str(plan), "--out", str(tmp_path / "out"), "--dir", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == [plan]


def test_a_plan_that_is_not_there_is_refused_with_those_that_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--plan", "nosuch"]) == 2
    assert "nosuch is neither a file nor one of the plans " in capsys.readouterr().err
    assert main(["--plan", str(tmp_path)]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_a_file_is_not_taken_for_a_committed_plan(tmp_path: Path) -> None:
    plan = tmp_path / "quick"
    plan.write_text(TWO_SWEEPS)
    assert read_plan(str(plan)).summary == "two"
    assert read_plan("quick").summary != "two"


@pytest.mark.parametrize("name", committed_plans())
def test_committed_plans_can_be_run_by_name(name: str, tmp_path: Path) -> None:
    plan = read_plan(name)
    assert plan.summary
    for values in plan.sweeps:
        sweep = Sweep.from_options(completed(values), tmp_path)
        assert sweep.trials()
        assert Sweep.from_record(json.loads(json.dumps(sweep.to_record()))) == sweep
        for engine in sweep.engines:
            if missing := ENGINES[engine].missing():
                pytest.skip(missing)
        refuse(sweep)


def test_all_options_have_values_and_those_given_win() -> None:
    values = completed({"clients": (7,)})
    assert values.keys() == {option.dest for option in OPTIONS.values()}
    assert (values["clients"], values["block_size"], values["direct"]) == ((7,), 8192, False)
    assert overridden({"duration": 1.0, "direct": True}, {"ops_per_client": 5}) == {
        "direct": True,
        "ops_per_client": 5,
    }
