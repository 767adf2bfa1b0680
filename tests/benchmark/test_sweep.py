"""Real sweeps, small ones, through the command line."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from asyncuring.benchmark.cli import main
from asyncuring.benchmark.runner import run_in_fresh_process
from tests.benchmark.small import Swept, run_benchmark

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring.benchmark.trial import Trial

CONTENDERS = {
    ("null", "asyncio"),
    ("null", "uvloop"),
    ("null", "trio"),
    ("thread-pool", "asyncio"),
    ("thread-pool", "uvloop"),
    ("thread-pool", "trio"),
    ("blocking", "none"),
}


def contents(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def swept(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Swept:
    out = tmp_path_factory.mktemp("out")
    options = "--engines null,thread-pool,blocking --loop asyncio,uvloop,trio --clients 1,3"
    work = "--duration 60ms --file-size 2MiB"
    return Swept(
        out,
        run_benchmark(*options.split(), *work.split(), "--out", out, "--dir", files),
    )


def test_a_sweep_succeeds_and_says_where_its_files_are(swept: Swept) -> None:
    assert swept.finished.stderr == ""
    assert swept.finished.returncode == 0
    last_line = swept.finished.stdout.splitlines()[-1]
    assert last_line.startswith(str(swept.out))
    assert "totals.csv" in last_line


def test_the_table_fits_into_100_columns(swept: Swept) -> None:
    table = swept.finished.stdout.splitlines()[:-1]
    assert max(map(len, table)) <= 100
    assert "…" not in "".join(table)


def test_totals_have_one_row_per_engine_loop_and_number_of_clients(swept: Swept) -> None:
    rows = swept.rows("totals.csv")
    found = {(row["engine"], row["loop"], row["clients"]) for row in rows}
    assert found == {(*contender, clients) for contender in CONTENDERS for clients in "13"}
    assert len(rows) == len(found)


def test_totals_agree_with_themselves(swept: Swept) -> None:
    for row in swept.rows("totals.csv"):
        assert row["error"] == ""
        figures = {name: float(text) for name, text in row.items() if re.match(r"[-+.\d]+$", text)}
        assert figures["ops_per_second"] == pytest.approx(
            figures["ops"] / figures["seconds"], rel=1e-4
        )
        assert figures["cpu_us_per_op"] > 0
        assert 0 < figures["latency_us_p50"] <= figures["latency_us_p99"]
        assert figures["latency_us_p99"] <= figures["latency_us_p999"]
        assert figures["latency_us_p999"] <= figures["latency_us_max"] * 1.02
        assert figures["fairness_spread"] >= 1
        assert 0 < figures["jain_index"] <= 1
        assert 0 <= figures["resident_after"] <= 1


def test_fairness_has_one_row_per_client_and_one_column_per_contender(swept: Swept) -> None:
    rows = swept.rows("fairness_by_nclients-3.csv")
    assert [row["client"] for row in rows] == ["0", "1", "2"]
    assert set(rows[0]) == {"client"} | {f"{engine}/{loop} ops" for engine, loop in CONTENDERS}
    totals = {
        f"{row['engine']}/{row['loop']} ops": float(row["ops"])
        for row in swept.rows("totals.csv")
        if row["clients"] == "3"
    }
    for column, ops in totals.items():
        assert sum(int(row[column]) for row in rows) == ops


def test_records_start_with_the_host_and_keep_each_client(swept: Swept) -> None:
    lines = (swept.out / "records.jsonl").read_text().splitlines()
    host, sweep, *trials = map(json.loads, lines)
    assert (host["kind"], sweep["kind"]) == ("host", "sweep")
    assert host["kernel"]
    assert len(trials) == 2 * len(CONTENDERS)
    for record in trials:
        assert len(record["clients"]) == record["trial"]["clients"]
        for client in record["clients"]:
            assert sum(client["latency_histogram"][1::2]) == client["ops"]


def test_a_report_rebuilds_the_same_files_from_the_records_alone(
    swept: Swept, tmp_path: Path
) -> None:
    (tmp_path / "records.jsonl").write_bytes((swept.out / "records.jsonl").read_bytes())
    finished = run_benchmark("report", tmp_path)
    assert finished.returncode == 0
    assert contents(tmp_path) == contents(swept.out)


def test_fixed_work_records_when_each_client_was_done(files: Path, tmp_path: Path) -> None:
    options = "--engines null,blocking --clients 3 --ops-per-client 40 --repeat 2 --verify"
    finished = run_benchmark(
        *options.split(), "--file-size", "2MiB", "--out", tmp_path, "--dir", files
    )
    assert finished.returncode == 0, finished.stderr
    swept = Swept(tmp_path, finished)
    for row in swept.rows("totals.csv"):
        assert (row["repeats"], row["ops"]) == ("2", "120")
        assert float(row["seconds"]) > 0
        assert float(row["ops_per_second_min"]) <= float(row["ops_per_second_max"])
    for row in swept.rows("fairness_by_nclients-3.csv"):
        assert row["null/asyncio ops"] == row["blocking/none ops"] == "40"
        assert 0 < float(row["null/asyncio finish_s"]) < 60
        assert 0 < float(row["blocking/none finish_s"]) < 60


def test_a_spoilt_file_is_filled_again(files: Path, tmp_path: Path) -> None:
    options = "--engines blocking --clients 1 --ops-per-client 200 --verify --file-size 1MiB"
    where = ["--out", str(tmp_path / "first"), "--dir", str(files)]
    assert main([*options.split(), *where]) == 0
    path = files / f"blocks-8192-{1 << 20}"
    filled = path.read_bytes()
    path.write_bytes(bytes(len(filled)))
    where[1] = str(tmp_path / "second")
    assert main([*options.split(), *where]) == 0
    assert path.read_bytes() == filled


def test_an_interrupted_sweep_reports_what_was_done(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Trial] = []

    def run_one_then_interrupt(trial: Trial) -> dict[str, object]:
        if done:
            raise KeyboardInterrupt
        done.append(trial)
        return run_in_fresh_process(trial)

    monkeypatch.setattr(
        "asyncuring.benchmark.sweeping.run_in_fresh_process", run_one_then_interrupt
    )
    options = "--engines null --clients 1,2 --ops-per-client 5 --file-size 1MiB"
    status = main([*options.split(), "--out", str(tmp_path), "--dir", str(files)])
    assert status == 130
    assert len((tmp_path / "totals.csv").read_text().splitlines()) == 2
