"""Sweeps that are killed, wherever it hits them, go on without loss and without counting twice."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from asyncuring.benchmark.cli import main
from asyncuring.benchmark.records import only_writer
from tests.benchmark.small import run_benchmark

if TYPE_CHECKING:
    from collections.abc import Callable

OPTIONS = "--engines null,blocking --clients 1,2 --duration 50ms --file-size 32MiB"
TRIALS = 4

# A file that may not grow then ends the process where it stands, as a kill does.
KILLED_BY_FILE_SIZE = """
import signal, sys
from asyncuring.benchmark.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
sys.exit(main(sys.argv[1:]))
"""


def start(*arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        (sys.executable, "-c", KILLED_BY_FILE_SIZE, *map(str, arguments)),
        stdout=subprocess.PIPE,
    )


def wait_until(condition: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    while not condition():
        assert process.poll() is None, "it ended before the kill"
        time.sleep(0.001)


def trial_of(process: subprocess.Popen[bytes]) -> str:
    return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().strip()


def is_running(pid: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def limit_records(process: subprocess.Popen[bytes], out: Path) -> bytes:
    """Leave no room for the rest of the trials' records; return the records there are."""
    wait_until(lambda: lines_in(out) > 2, process)
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    written = (out / "records.jsonl").read_bytes()
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (len(written) + 100, len(written) + 100))
    process.send_signal(signal.SIGCONT)
    return written


def lines_in(out: Path) -> int:
    path = out / "records.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def trials_in(out: Path) -> list[dict[str, Any]]:
    lines = (out / "records.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["kind"] for record in records[:2]] == ["host", "sweep"]
    assert all(record["error"] is None for record in records[2:])
    return [record["trial"] for record in records[2:]]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc, sets another's limits")
def test_a_sweep_killed_at_any_point_is_resumed_without_loss_or_counting_twice(
    tmp_path: Path,
) -> None:
    out, files = tmp_path / "out", tmp_path / "files"

    filling = start(*OPTIONS.split(), "--out", out, "--dir", files)
    wait_until(lambda: list(files.glob("*.unfinished")), filling)
    kill(filling)

    in_a_trial = start("--resume", out)
    wait_until(lambda: trial_of(in_a_trial), in_a_trial)
    trial = trial_of(in_a_trial)
    kill(in_a_trial)
    while is_running(trial):
        time.sleep(0.001)
    assert lines_in(out) == 2

    writing = start("--resume", out)
    whole = limit_records(writing, out)
    writing.communicate()
    assert writing.returncode == -signal.SIGXFSZ
    torn = (out / "records.jsonl").read_bytes()
    assert len(torn) == len(whole) + 100
    assert torn.count(b"\n") == whole.count(b"\n")

    assert main(["--resume", str(out)]) == 0
    trials = trials_in(out)
    assert len(trials) == TRIALS
    assert {(trial["engine"], trial["clients"]) for trial in trials} == {
        ("null", 1),
        ("null", 2),
        ("blocking", 1),
        ("blocking", 2),
    }

    written = (out / "records.jsonl").read_bytes()
    assert main(["--resume", str(out)]) == 0
    assert (out / "records.jsonl").read_bytes() == written


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start(*OPTIONS.split(), "--out", out, "--dir", tmp_path / "files")
    while lines_in(out) < 3:
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 130
    assert b"totals.csv" in output
    assert (
        output.decode().splitlines()[-1].endswith(f"python -m asyncuring.benchmark --resume {out}")
    )
    assert run_benchmark("--resume", out).returncode == 0
    assert len(trials_in(out)) == TRIALS


def test_only_one_process_is_at_work_on_a_sweep(
    tmp_path: Path, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = "--engines null --clients 1 --ops-per-client 5 --file-size 1MiB"
    assert main([*options.split(), "--out", str(tmp_path), "--dir", str(files)]) == 0
    with only_writer(tmp_path):
        assert main(["--resume", str(tmp_path)]) == 2
    assert "another process is at work" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"kernel": "2.6.32"}, "was begun with kernel 2.6.32, here it is"),
        ({"kind": "sweep", "colour": "red"}, "another version of the benchmark: colour differs"),
    ],
)
def test_what_cannot_be_gone_on_with_is_refused(
    changed: dict[str, str],
    reason: str,
    tmp_path: Path,
    files: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = "--engines null --clients 1 --ops-per-client 5 --file-size 1MiB"
    assert main([*options.split(), "--out", str(tmp_path), "--dir", str(files)]) == 0
    path = tmp_path / "records.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        if record["kind"] == changed.get("kind", "host"):
            record.update(changed)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert main(["--resume", str(tmp_path)]) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "records.jsonl does not exist"),
        ('{"kind":"host"}\n', "does not say what was asked for"),
    ],
)
def test_nothing_to_resume_is_refused(
    content: str | None, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "records.jsonl").write_text(content)
    assert main(["--resume", str(tmp_path)]) == 2
    assert reason in capsys.readouterr().err


def test_resume_takes_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--clients", "3", "--resume=DIR"]) == 2
    assert "takes nothing else: --clients 3" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="sets another process's limits")
def test_records_that_find_no_room_end_the_sweep_and_not_what_is_done(tmp_path: Path) -> None:
    out = tmp_path / "out"
    where = (f"--out={out}", f"--dir={tmp_path}/files")
    process = subprocess.Popen(
        (sys.executable, "-m", "asyncuring.benchmark", *OPTIONS.split(), *where),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    whole = limit_records(process, out)
    _, errors = process.communicate()
    assert process.returncode == 2
    assert b"File too large; what is done is kept, go on with: python -m" in errors
    assert (out / "records.jsonl").read_bytes().startswith(whole)
    assert main(["--resume", str(out)]) == 0
    assert len(trials_in(out)) == TRIALS


def test_fill_makes_the_files_and_measures_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = tmp_path / "files"
    assert main(["fill", "--file-size", "1MiB", "--workload", "read", "--dir", str(files)]) == 0
    (path,) = files.iterdir()
    assert path.stat().st_size == 1 << 20
    assert f"{path} is ready" in capsys.readouterr().out
    assert [found.name for found in tmp_path.iterdir()] == ["files"]
