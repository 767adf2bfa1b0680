"""Wrong input is refused in one line, with exit status 2, before anything is written."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

from asyncuring.benchmark.cli import main
from tests.benchmark.small import run_benchmark

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from pathlib import Path


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("--clients 0", "'0' is not a whole number from 1 on"),
        ("--clients 1,,8", "'' is not a whole number"),
        ("--engines nosuch", "'nosuch' is not one of asyncuring, "),
        ("--loop curio", "'curio' is not one of asyncio, uvloop, trio, uringio"),
        ("--block-size 8k", "'8k' is not a size such as 512, 8KiB"),
        ("--block-size 0", "'0' is not a size"),
        ("--block-size 100", "--block-size is below 512 bytes"),
        ("--file-size 10001", "--file-size is not a multiple of --block-size"),
        ("--file-size 1000000GiB", "MiB free, the files need"),
        ("--duration 3", "'3' is not a time such as 3s"),
        ("--duration 0s", "'0s' is not a time"),
        ("--duration 1s --ops-per-client 5", "not allowed with"),
        ("--repeat -1", "'-1' is not a whole number"),
        ("--workload nosuch", "'nosuch' is not one of read, "),
        ("--workload read-many --engines urio", "the engine urio does no read-many"),
        ("--read-share 70% --workload write", "--read-share belongs to --workload mix"),
        ("--read-share 700 --workload mix", "'700' is not a share such as"),
        ("--pipeline 0", "'0' is not a whole number"),
        ("--offsets normal", "'normal' is not one of uniform, zipf"),
        ("--offsets zipf --workload sequential-read", "sequential-read goes in order"),
        ("--workload sequential-read --clients 8 --file-size 8KiB", "has 1 blocks, too few for 8"),
        ("--files per-client --workload small-files", "small-files has no --files per-client"),
        ("--files per-client --workload append-group", "append-group has no --files per-client"),
        ("--files per-client --file-size 64KiB --clients 9", "has 8 blocks, too few for 9 clients"),
        ("--files own", "'own' is not one of shared, per-client"),
        ("--workload append-group --loops 2 --clients 8", "belongs to one loop; no --loops"),
        ("--workload append --clients 8 --pipeline 2 --file-size 64KiB", "too few for 16 ops"),
        ("--think 2s", "--think is as long as the --duration"),
        ("--engines fio --think 1ms", "the engine fio is another program; no --think"),
        ("--batch 4", "--batch belongs to --workload read-many"),
        ("--batch 0 --workload read-many", "'0' is not a whole number"),
        ("--workload read-many --ops-per-client 50", "not a multiple of the batch of 32"),
        ("--loops 2 --clients 8,1", "2 loops need at least as many clients, not 1"),
        ("--background x", "'x' is not a whole number"),
        ("--background 8 --ops-per-client 5", "so --ops-per-client cannot be"),
        ("--background 8 --engines blocking", "no tasks, so none in the --background"),
        ("--loops two", "'two' is not a whole number"),
        ("--direct --engines urio", "the engine urio cannot go past the page cache with --direct"),
        ("--engines pyaio --loop trio", "the engine pyaio runs on asyncio and uvloop alone"),
        ("--dir /proc/nosuch", "/proc/nosuch: No such file or directory"),
        ("report /nosuch", "/nosuch/records.jsonl does not exist"),
        ("--nosuch", "unrecognized arguments: --nosuch"),
    ],
)
def test_wrong_input_is_refused(
    arguments: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    surroundings = [] if "report" in arguments else ["--out", str(tmp_path / "out")]
    if "--dir" not in arguments and surroundings:
        surroundings += ["--dir", str(tmp_path)]
    assert main([*surroundings, *arguments.split()]) == 2
    captured = capsys.readouterr()
    assert reason in captured.err
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_is_the_exit_status_of_the_program() -> None:
    finished = run_benchmark("--clients", "none")
    assert finished.returncode == 2
    assert finished.stdout == ""


def test_old_records_are_never_mixed_with_new_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "records.jsonl").touch()
    assert main(["--out", str(tmp_path)]) == 2
    assert "already holds records; choose another --out" in capsys.readouterr().err


def test_a_line_that_is_no_record_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "records.jsonl").write_text('{"kind":"host"}\n{"kind"\n')
    assert main(["report", str(tmp_path)]) == 2
    assert "line 2, is not a record" in capsys.readouterr().err


def test_a_missing_loop_is_refused_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find_spec = importlib.util.find_spec

    def find_all_but_uvloop(name: str) -> ModuleSpec | None:
        return None if name == "uvloop" else find_spec(name)

    monkeypatch.setattr(importlib.util, "find_spec", find_all_but_uvloop)
    assert main(["--loop", "uvloop", "--out", str(tmp_path / "out")]) == 2
    assert "pip install uvloop" in capsys.readouterr().err
