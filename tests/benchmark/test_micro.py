"""The microbenchmarks, and the comparison with their baseline: `benchmark/micro/` at the top."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from benchmark.micro import __main__ as micro
from benchmark.micro.compare import (
    FASTER,
    GONE,
    NEW,
    SAME,
    SLOWER,
    compare,
    read_baseline,
    read_runs,
    table,
    write_baseline,
)

if TYPE_CHECKING:
    from pathlib import Path


def verdict(now: list[float], before: list[float]) -> str:
    (change,) = compare({"pin": {"trio": now}}, {"pin": {"trio": before}})
    return change.verdict


def test_each_microbenchmark_runs() -> None:
    finished = subprocess.run(
        (sys.executable, "-m", "pytest", "benchmark/micro", "--benchmark-disable"),
        cwd=micro.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        ([1.2, 1.3, 1.4], [1.0, 1.1, 1.19], SLOWER),
        ([1.2, 1.3, 1.4], [1.0, 1.1, 1.21], SAME),
        ([1.0, 1.1, 1.19], [1.2, 1.3, 1.4], FASTER),
        ([1.04, 1.04], [1.0, 1.0], SAME),
        ([1.06, 1.06], [1.0, 1.0], SLOWER),
    ],
)
def test_slower_is_what_is_above_all_of_the_baseline_and_by_enough(
    now: list[float], before: list[float], expected: str
) -> None:
    assert verdict(now, before) == expected


def test_parts_that_one_side_lacks_are_named() -> None:
    changes = compare({"pin": {"trio": [1.0]}}, {"pin": {"asyncio": [2.0]}})
    assert [(change.loop, change.verdict) for change in changes] == [
        ("trio", NEW),
        ("asyncio", GONE),
    ]
    assert [line.split()[1:] for line in table(changes).splitlines()[1:]] == [
        ["trio", "1.00", "-", "new"],
        ["asyncio", "-", "2.00", "not", "measured"],
    ]


def test_a_baseline_holds_the_ratios_of_the_runs(tmp_path: Path) -> None:
    runs = []
    for number, ratio in enumerate((0.12344, 0.5)):
        run = tmp_path / f"{number}.json"
        info = {"part": "pin", "loop": "trio", "ratio": ratio}
        run.write_text(json.dumps({"benchmarks": [{"extra_info": info}]}))
        runs.append(run)
    ratios = read_runs(runs)
    assert ratios == {"pin": {"trio": [0.1234, 0.5]}}
    baseline = tmp_path / "results" / "baseline.json"
    write_baseline(baseline, {"python": "CPython", "cpu": None}, ratios)
    assert read_baseline(baseline) == {"python": "CPython", "cpu": None, "ratios": ratios}


def test_the_command_measures_keeps_and_compares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # It measures in processes of its own, whoever runs this test.
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    source = micro.HERE
    (tmp_path / "bench_one.py").write_text(
        "from benchmark.micro.bench_op import bench_pin, pytestmark\n"
        "from benchmark.micro.conftest import file, ruler\n"
    )
    (tmp_path / "pytest.ini").write_text(
        (source / "pytest.ini").read_text().replace("../..", str(micro.ROOT))
    )
    monkeypatch.setattr(micro, "HERE", tmp_path)
    monkeypatch.setattr(micro, "RUNS", 1)
    monkeypatch.setattr(micro, "BASELINE", tmp_path / "baseline.json")
    assert micro.main(["--new-baseline", "--out", str(tmp_path / "out")]) == 0
    (ratio,) = read_baseline(micro.BASELINE)["ratios"]["pin"]["asyncio"]
    assert 0 < ratio < 1
    write_baseline(
        micro.BASELINE, {"python": "", "kernel": "", "cpu": ""}, {"pin": {"asyncio": [ratio / 100]}}
    )
    capsys.readouterr()
    assert micro.main(["--out", str(tmp_path / "out")]) == 0
    assert "by more than the noise: 1" in capsys.readouterr().out
