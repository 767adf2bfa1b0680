"""The engines that need something installed: right bytes where it is, a row with the error else."""

from __future__ import annotations

import csv
import importlib.util
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from asyncuring.benchmark.offsets import draw_offsets
from asyncuring.benchmark.runner import run_in_fresh_process
from tests.benchmark.small import BLOCK_SIZE, run_benchmark

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring.benchmark.trial import Trial

PACKAGES = {
    "aiofile": "aiofile",
    "pyaio": "pyaio",
    "turbofile": "turbofile",
    "uring-api": "uring_api",
    "urio": "urio",
}


def require(engine: str) -> None:
    if importlib.util.find_spec(PACKAGES[engine]) is None:
        pytest.skip(f"{PACKAGES[engine]} is not installed")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("engine", PACKAGES)
def test_a_peer_reads_right_bytes(engine: str, loop: str, trial: Trial) -> None:
    require(engine)
    record = run_in_fresh_process(replace(trial, engine=engine, loop=loop, clients=5, verify=True))
    assert record["error"] is None
    assert [client["ops"] for client in record["clients"]] == [20] * 5


@pytest.mark.parametrize("engine", PACKAGES)
def test_a_wrong_byte_in_a_peers_hands_is_seen(engine: str, trial: Trial, blocks: Path) -> None:
    require(engine)
    trial = replace(trial, engine=engine, verify=True)
    with blocks.open("r+b") as file:
        file.seek(draw_offsets(trial, lane=1)[3] + BLOCK_SIZE // 2)
        file.write(b"spoilt")
    assert "does not match its checksum" in run_in_fresh_process(trial)["error"]


@pytest.mark.parametrize("engine", PACKAGES)
def test_a_peer_starves_no_client(engine: str, trial: Trial) -> None:
    require(engine)
    timed = replace(trial, engine=engine, clients=64, duration_s=0.3, ops_per_client=None)
    record = run_in_fresh_process(timed)
    assert record["error"] is None
    assert all(client["ops"] for client in record["clients"])


@pytest.mark.parametrize("engine", PACKAGES)
def test_a_missing_peer_is_a_row_with_its_error(
    engine: str, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In its place stands a package that is not to be imported.
    (tmp_path / f"{PACKAGES[engine]}.py").write_text("raise ModuleNotFoundError('not there')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    options = f"--engines {engine},null --clients 2 --ops-per-client 5 --file-size 2MiB"
    out = tmp_path / "out"
    finished = run_benchmark(*options.split(), "--out", out, "--dir", files)
    assert finished.returncode == 1
    with (out / "totals.csv").open(newline="") as file:
        rows = {row["engine"]: row for row in csv.DictReader(file)}
    assert rows[engine]["error"] == "ModuleNotFoundError: not there"
    assert rows["null"]["error"] == ""


def test_peers_that_choose_their_buffers_refuse_direct(trial: Trial) -> None:
    require("urio")
    record = run_in_fresh_process(replace(trial, engine="urio", direct=True))
    assert record["error"].startswith("NoDirectError")


@pytest.mark.parametrize("workload", ["read", "write"])
@pytest.mark.parametrize("duration_s", [None, 0.2])
def test_fio_counts_what_it_does(workload: str, duration_s: float | None, trial: Trial) -> None:
    if shutil.which("fio") is None:
        pytest.skip("fio is not installed")
    trial = replace(
        trial, engine="fio", loop="none", clients=8, workload=workload, duration_s=duration_s
    )
    if duration_s is not None:
        trial = replace(trial, ops_per_client=None)
    record = run_in_fresh_process(trial)
    assert record["error"] is None
    (together,) = record["clients"]
    assert sum(together["latency_histogram"][1::2]) == together["ops"]
    assert record["cpu_us"] >= 0
    if duration_s is None:
        assert together["ops"] == 8 * 20
    else:
        assert record["seconds"] == pytest.approx(duration_s, rel=0.5)


def test_without_fio_its_row_has_the_error(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    record = run_in_fresh_process(replace(trial, engine="fio", loop="none"))
    assert "fio is not installed" in record["error"]


def test_what_fio_complains_about_is_its_error(trial: Trial) -> None:
    if shutil.which("fio") is None:
        pytest.skip("fio is not installed")
    misaligned = replace(trial, engine="fio", loop="none", direct=True, block_size=1000)
    record = run_in_fresh_process(misaligned)
    assert record["error"].startswith("FioError: ")


def test_fio_appears_in_the_files_of_a_sweep(files: Path, tmp_path: Path) -> None:
    if shutil.which("fio") is None:
        pytest.skip("fio is not installed")
    options = "--engines fio,null --clients 3 --ops-per-client 20 --file-size 2MiB"
    finished = run_benchmark(*options.split(), "--out", tmp_path, "--dir", files)
    assert finished.returncode == 0, finished.stdout
    with (tmp_path / "totals.csv").open(newline="") as file:
        rows = {row["engine"]: row for row in csv.DictReader(file)}
    assert (rows["fio"]["ops"], rows["fio"]["starved_clients"]) == ("60", "")
    with (tmp_path / "fairness_by_nclients-3.csv").open(newline="") as file:
        assert [row["fio/none ops"] for row in csv.DictReader(file)] == ["", "", ""]
