"""One trial in a fresh process: what it records, and what becomes of a failure."""

from __future__ import annotations

import csv
import fcntl
import json
import signal
import subprocess
import sys
import termios
from array import array
from dataclasses import replace
from typing import IO, TYPE_CHECKING

import pytest

from asyncuring.benchmark import runner
from asyncuring.benchmark.cli import main
from asyncuring.benchmark.offsets import draw_offsets
from asyncuring.benchmark.records import append_record
from asyncuring.benchmark.runner import longest_s, run_in_fresh_process, shuffled
from asyncuring.benchmark.trial import Trial
from tests.benchmark.small import BLOCK_SIZE, BLOCKS

if TYPE_CHECKING:
    from pathlib import Path

READERS = [
    ("asyncuring", "asyncio"),
    ("asyncuring-ring", "asyncio"),
    ("asyncuring", "uvloop"),
    ("asyncuring", "trio"),
    ("asyncuring-threads", "asyncio"),
    ("asyncuring-uring-local", "trio"),
    ("thread-pool", "asyncio"),
    ("thread-pool", "trio"),
    ("blocking", "none"),
]


# What is written to a full pipe is cut short by a signal.
SIGNALLED = """
import signal
from asyncuring.benchmark.cli import main
signal.signal(signal.SIGUSR1, lambda *_: None)
main(["run-trial"])
"""


def waiting_bytes(pipe: IO[bytes]) -> int:
    count = array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def spoil(path: Path, block: int) -> None:
    with path.open("r+b") as file:
        file.seek(block * BLOCK_SIZE + BLOCK_SIZE // 2)
        file.write(b"spoilt")


def test_a_trial_survives_its_json(trial: Trial) -> None:
    assert Trial.from_json(trial.to_json()) == trial


@pytest.mark.parametrize(("engine", "loop"), READERS)
def test_verified_reads_of_a_sound_file_succeed(engine: str, loop: str, trial: Trial) -> None:
    record = run_in_fresh_process(replace(trial, engine=engine, loop=loop, verify=True))
    assert record["error"] is None
    assert [client["ops"] for client in record["clients"]] == [20, 20]
    assert record["resident_before"] > 0


@pytest.mark.parametrize(("engine", "loop"), READERS)
def test_a_corrupted_block_is_caught(engine: str, loop: str, trial: Trial, blocks: Path) -> None:
    trial = replace(trial, engine=engine, loop=loop, verify=True)
    spoil(blocks, draw_offsets(trial, lane=0)[7] // BLOCK_SIZE)
    record = run_in_fresh_process(trial)
    assert "does not match its checksum" in record["error"]


def test_the_library_says_which_driver_it_ran_on(trial: Trial) -> None:
    record = run_in_fresh_process(replace(trial, engine="asyncuring-threads"))
    (driver,) = record["details"]["drivers"]
    assert driver["driver"] == "threads"
    # With two clients at once, what is cached needs no driver.
    assert driver["ops_submitted"] + driver["inline_reads"] >= 40


def test_without_verify_nobody_looks(trial: Trial, blocks: Path) -> None:
    spoil(blocks, draw_offsets(trial, lane=0)[7] // BLOCK_SIZE)
    assert run_in_fresh_process(trial)["error"] is None


def test_a_short_read_is_a_failure(trial: Trial, blocks: Path) -> None:
    with blocks.open("r+b") as file:
        file.truncate(100)
    record = run_in_fresh_process(trial)
    assert record["error"].startswith("OSError: an op carried ")


def test_direct_reads_verify(trial: Trial) -> None:
    record = run_in_fresh_process(replace(trial, engine="blocking", direct=True, verify=True))
    if record["error"] and "Invalid argument" in record["error"]:
        pytest.skip("the file system of the temporary folder has no O_DIRECT")
    assert record["error"] is None


def test_a_failing_engine_is_a_row_with_its_error(
    trial: Trial, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    append_record(tmp_path, run_in_fresh_process(replace(trial, engine="null")))
    append_record(tmp_path, run_in_fresh_process(replace(trial, path=str(tmp_path))))
    assert main(["report", str(tmp_path)]) == 1
    assert "thread-pool/asyncio failed with 2 clients: IsADirectoryError" in capsys.readouterr().out
    with (tmp_path / "totals.csv").open(newline="") as file:
        null, thread_pool = csv.DictReader(file)
    assert (null["error"], null["ops"]) == ("", "40")
    assert thread_pool["error"].startswith("IsADirectoryError")
    assert (thread_pool["repeats"], thread_pool["ops_per_second"]) == ("0", "")
    with (tmp_path / "fairness_by_nclients-2.csv").open(newline="") as file:
        assert [row["thread-pool/asyncio ops"] for row in csv.DictReader(file)] == ["", ""]


def test_an_engine_that_kills_its_process_is_a_failure(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = (sys.executable, "-c", "raise SystemExit('out of luck')")
    monkeypatch.setattr(runner, "TRIAL_COMMAND", dying)
    assert run_in_fresh_process(trial)["error"] == "exit status 1: out of luck"


def test_an_engine_that_leaves_no_record_is_a_failure(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in ("pass", "print('bye')"):
        monkeypatch.setattr(runner, "TRIAL_COMMAND", (sys.executable, "-c", program))
        assert run_in_fresh_process(trial)["error"] == "no record at the end of its output"


def test_a_record_survives_a_signal_while_the_pipe_is_full(trial: Trial) -> None:
    with subprocess.Popen(
        (sys.executable, "-u", "-c", SIGNALLED),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
        process.stdin.write(replace(trial, engine="null", clients=100).to_json().encode())
        process.stdin.close()
        while waiting_bytes(process.stdout) < 4096:
            assert process.poll() is None
        process.send_signal(signal.SIGUSR1)
        record = json.loads(process.stdout.read())
    assert len(record["clients"]) == 100


def test_an_engine_that_hangs_is_a_failure(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = (sys.executable, "-c", "import signal; signal.pause()")
    monkeypatch.setattr(runner, "TRIAL_COMMAND", hanging)
    monkeypatch.setattr(runner, "longest_s", lambda _: 0.1)
    assert run_in_fresh_process(trial)["error"] == "no result after 0.1 s"


def test_a_trial_may_take_as_long_as_what_it_is_asked_for_takes(trial: Trial) -> None:
    timed = replace(trial, ops_per_client=None, duration_s=100.0)
    assert longest_s(timed) > 100
    many = replace(trial, clients=400, ops_per_client=12_000)
    assert longest_s(many) > 400 * 12_000 / runner.SLOWEST_OPS_PER_S > longest_s(trial)
    large = replace(many, file_size=40_000 << 20)
    assert longest_s(large) > longest_s(many) + 1800


def test_offsets_are_aligned_inside_the_file_and_the_same_each_time(
    trial: Trial,
) -> None:
    offsets = draw_offsets(trial, lane=0)
    assert set(offsets) == set(range(0, BLOCKS * BLOCK_SIZE, BLOCK_SIZE))
    assert draw_offsets(replace(trial, engine="blocking"), lane=0) == offsets
    assert draw_offsets(trial, lane=1) != offsets
    assert draw_offsets(replace(trial, seed=2), lane=0) != offsets


def test_engines_are_shuffled_by_seed_within_a_repeat(trial: Trial) -> None:
    trials = [replace(trial, repeat=r, clients=c) for r in (0, 1) for c in range(1, 20)]
    order = shuffled(trials, seed=1)
    assert order != trials
    assert order == shuffled(trials, seed=1)
    assert order != shuffled(trials, seed=2)
    assert [trial.repeat for trial in order] == [0] * 19 + [1] * 19
