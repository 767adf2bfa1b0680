"""The engines that need something installed: right bytes where it is, a row with the error else."""

from __future__ import annotations

import csv
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asyncuring.benchmark.cli import main
from asyncuring.benchmark.engines import ENGINES, skeleton
from asyncuring.benchmark.execution import execute
from asyncuring.benchmark.loops import LOOPS
from asyncuring.benchmark.offsets import draw_offsets
from asyncuring.benchmark.requirement import Package, Program
from asyncuring.benchmark.runner import run_in_fresh_process
from asyncuring.benchmark.workload import WRITE_AT
from tests.benchmark.small import BLOCK_SIZE, run_benchmark

if TYPE_CHECKING:
    from asyncuring.benchmark.engine import Engine
    from asyncuring.benchmark.trial import Trial

ROOT = Path(__file__).parent.parent.parent

PEERS = [engine for engine in ENGINES.values() if isinstance(engine.requires, Package)]
EVERYWHERE = [
    pytest.param(engine.name, loop, id=f"{engine.name}-{loop}")
    for engine in PEERS
    for loop in engine.loops
]
EAGER = {"aiofile-eager", "py-asyncfiles-eager", "turbofile-eager"}
"""Those that are shown to starve clients."""

BESIDE = [
    ("inline", "asyncio"),
    ("inline", "trio"),
    ("thread-pool-4", "asyncio"),
    ("thread-pool-4", "trio"),
]
"""Engines of the standard library that other tests do not run."""


def require(engine: Engine) -> None:
    if missing := engine.missing():
        pytest.skip(missing)


@pytest.mark.parametrize(("engine", "loop"), [*EVERYWHERE, *BESIDE])
def test_an_engine_reads_right_bytes(engine: str, loop: str, trial: Trial) -> None:
    require(ENGINES[engine])
    record = run_in_fresh_process(replace(trial, engine=engine, loop=loop, clients=5, verify=True))
    assert record["error"] is None
    assert [client["ops"] for client in record["clients"]] == [20] * 5


@pytest.mark.parametrize("engine", [engine.name for engine in PEERS])
def test_a_wrong_byte_in_a_peers_hands_is_seen(engine: str, trial: Trial, blocks: Path) -> None:
    require(ENGINES[engine])
    trial = replace(trial, engine=engine, loop=ENGINES[engine].loops[0], verify=True)
    with blocks.open("r+b") as file:
        file.seek(draw_offsets(trial, lane=1)[3] + BLOCK_SIZE // 2)
        file.write(b"spoilt")
    assert "does not match its checksum" in run_in_fresh_process(trial)["error"]


@pytest.mark.parametrize("engine", [engine.name for engine in PEERS if engine.name not in EAGER])
def test_a_peer_starves_no_client(engine: str, trial: Trial) -> None:
    require(ENGINES[engine])
    loop = ENGINES[engine].loops[0]
    timed = replace(trial, engine=engine, loop=loop, clients=64, duration_s=0.3)
    record = run_in_fresh_process(replace(timed, ops_per_client=None))
    assert record["error"] is None
    assert all(client["ops"] for client in record["clients"])


@pytest.mark.parametrize("engine", [engine.name for engine in PEERS if WRITE_AT in engine.ops])
def test_a_peer_writes_where_it_is_told(engine: str, trial: Trial, blocks: Path) -> None:
    require(ENGINES[engine])
    trial = replace(trial, engine=engine, loop=ENGINES[engine].loops[0], workload="write")
    before = blocks.read_bytes()
    assert run_in_fresh_process(trial)["error"] is None
    changed = {
        off
        for off in range(0, len(before), BLOCK_SIZE)
        if blocks.read_bytes()[off : off + BLOCK_SIZE] != before[off : off + BLOCK_SIZE]
    }
    warmed_up_and_asked_for = {off for lane in range(2) for off in draw_offsets(trial, lane)[:20]}
    assert changed == warmed_up_and_asked_for


def test_a_package_that_does_not_load_is_a_row_with_its_error(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In its place stands a package that is not to be imported.
    (tmp_path / "anyio.py").write_text("raise ImportError('spoilt')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    options = "--engines anyio,null --clients 2 --ops-per-client 5 --file-size 2MiB"
    out = tmp_path / "out"
    finished = run_benchmark(*options.split(), "--out", out, "--dir", files)
    assert finished.returncode == 1
    with (out / "totals.csv").open(newline="") as file:
        rows = {row["engine"]: row for row in csv.DictReader(file)}
    assert rows["anyio"]["error"] == "ImportError: spoilt"
    assert rows["null"]["error"] == ""


@pytest.mark.parametrize(
    ("requires", "refused"),
    [
        (
            Package("no-such-peer>=1.2", "no_such_peer"),
            (
                "the engine null cannot run: no_such_peer is not installed;"
                " install it with: pip install 'no-such-peer>=1.2'"
            ),
        ),
        (
            Package("future>=1", "future", (4, 0)),
            "cannot run: future needs CPython 4.0; this is 3.",
        ),
        (
            Program("no-such-program", "apt-get install it"),
            "no-such-program is not installed; install it with: apt-get install it",
        ),
    ],
)
def test_what_is_not_installed_is_refused_with_the_remedy(
    requires: Package | Program,
    refused: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(ENGINES, "null", replace(ENGINES["null"], requires=requires))
    assert main(["--engines", "null", "--out", str(tmp_path / "out")]) == 2
    assert refused in capsys.readouterr().err


def test_the_extra_peers_installs_what_the_engines_require() -> None:
    extra = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("\npeers = [")[1]
    listed = re.findall(r'^    "(.*)",$', extra.split("\n]")[0], re.MULTILINE)
    required = {engine.requires for engine in PEERS}
    assert sorted(listed) == sorted(package.marked for package in required)


def test_peers_that_choose_their_buffers_do_no_direct_io(trial: Trial) -> None:
    record = run_in_fresh_process(replace(trial, engine="urio", direct=True))
    assert record["error"] == "NoDirectError: urio cannot go past the page cache"


def test_the_skeleton_runs_as_it_stands(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    (engine,) = skeleton.engines
    monkeypatch.setitem(ENGINES, engine.name, engine)
    record = execute(replace(trial, engine=engine.name, verify=True))
    assert [client["ops"] for client in record["clients"]] == [20, 20]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "trio"])
@pytest.mark.parametrize("duration_s", [None, 0.05])
@pytest.mark.parametrize("loops", [1, 2])
def test_bare_counts_its_awaits(
    loop: str, duration_s: float | None, loops: int, trial: Trial
) -> None:
    trial = replace(trial, engine="bare", loop=loop, loops=loops, pipeline=3)
    if duration_s is None:
        record = execute(trial)
        assert record["clients"][0]["ops"] == 2 * 3 * 20
        assert record["seconds"] > 0
    else:
        record = execute(replace(trial, duration_s=duration_s, ops_per_client=None))
        assert record["clients"][0]["ops"] > 0
        assert record["seconds"] > duration_s / 2


def test_the_loop_of_uringio_is_asked_how_late_it_is(trial: Trial) -> None:
    require(ENGINES["uringio"])
    timed = replace(trial, engine="null", loop="uringio", ops_per_client=None, duration_s=0.2)
    (interval,) = run_in_fresh_process(timed)["timeline"]
    assert sum(interval["lag_histogram"][1::2]) > 0


def test_the_null_engine_runs_wherever_an_engine_does() -> None:
    everywhere = {loop for engine in ENGINES.values() for loop in engine.loops}
    assert set(ENGINES["null"].loops) == set(ENGINES["bare"].loops) == everywhere == set(LOOPS)


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
