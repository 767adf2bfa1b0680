"""The bars and the tables in the documents: programs in `benchmark/` at the top."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asyncuring.benchmark.loops import NO_LOOP
from benchmark import contenders, tables
from benchmark.bar_rows import NO, NOT_MEASURED, STARVES, YES, judge, read_rows
from benchmark.bar_table import CPU, OPS, Bar, bars
from benchmark.bars import rounds
from benchmark.contenders import NotMeasuredError, Surroundings, Work
from benchmark.disturbance import watch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

ROOT = Path(__file__).parents[2]

OURS = Work(engine="asyncuring", loop="asyncio", clients=8)
POOL = Work(engine="thread-pool", loop="asyncio", clients=8)
BLOCKING = Work(engine="blocking", loop=NO_LOOP, clients=8)


def run_bars(out: Path, files: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "benchmark.bars", *arguments, "--out", str(out))
    small = ("--file-size=2MiB", "--duration=50ms", "--dir", str(files))
    return subprocess.run((*command, *small), cwd=ROOT, capture_output=True, text=True, check=False)


def figures(ops: float, starved: int = 0, cpu: float = 1.0) -> dict[str, float | None]:
    return {OPS: ops, CPU: cpu, "starved_clients": starved}


def bar(**changes: Any) -> Bar:
    wanted = {"letter": "x", "what": "", "figure": OPS, "ours": OURS, "against": (POOL,)}
    return Bar(**{**wanted, "limit": 2, **changes})


def test_letters_select_bars_and_rows_of_others_stay(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "results" / "bars.csv"
    finished = run_bars(out, files, "e", "--loop=trio", "--repeat=1")
    assert finished.returncode == 0, finished.stderr
    first = read_rows(out)
    assert [(row.bar, row.loop, row.repeats) for row in first] == [("e", "trio", 1)] * 2
    for repeats in (2, 1):
        run_bars(out, files, "a", "--loop=asyncio", f"--repeat={repeats}")
        rows = read_rows(out)
        assert [(row.bar, row.repeats) for row in rows[:2]] == [("a", repeats)] * 2
        assert rows[2:] == first
        for row in rows:
            assert row.met in (YES, NO)
            assert float(row.ratio_min) <= float(row.ratio) <= float(row.ratio_max)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("z", "bars: 'z' is not one of a, b, c"),
        ("c --loop trio", "bars: no such bar is on the loop trio"),
        ("j --file-size 100KiB", "bars: --file-size is not a multiple of 1048576"),
        ("a --repeat 0", "'0' is not a whole number"),
        ("a --dir /proc/nosuch", "bars: /proc/nosuch: No such file or directory"),
    ],
)
def test_wrong_input_is_refused(arguments: str, reason: str, tmp_path: Path) -> None:
    out = tmp_path / "bars.csv"
    command = (sys.executable, "-m", "benchmark.bars", "--dir", str(tmp_path), "--out", str(out))
    finished = subprocess.run(
        (*command, *arguments.split()), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 2
    assert reason in finished.stderr
    assert not out.exists()


def test_each_contender_has_one_turn_and_those_of_a_comparison_are_neighbours() -> None:
    null = Work(engine="null", loop="asyncio", clients=8)
    other = Work(engine="asyncuring", loop="trio", clients=8)
    wanted = [bar(), bar(ours=other, against=(POOL,)), bar(against=(null,)), bar(ours=other)]
    assert rounds(wanted) == [[OURS, POOL, null], [other]]


def test_a_ratio_is_of_one_repeat_and_the_bar_is_held_to_the_median() -> None:
    ours = [figures(300), figures(100), figures(90)]
    theirs = [figures(100), figures(100), figures(30)]
    row = judge(bar(), {OURS: [*ours], POOL: [*theirs]})
    assert (row.ratio, row.ratio_min, row.ratio_max, row.met) == ("3", "1", "3", YES)
    assert (row.ours, row.theirs, row.repeats) == ("100", "100", 3)
    assert judge(bar(limit=3.1), {OURS: [*ours], POOL: [*theirs]}).met == NO


def test_of_several_rivals_the_best_counts() -> None:
    measured = {OURS: [figures(100)], POOL: [figures(200)], BLOCKING: [figures(400)]}
    row = judge(bar(against=(POOL, BLOCKING)), {who: [*all_] for who, all_ in measured.items()})
    assert (row.ratio, row.theirs, row.against) == ("0.25", "400", "thread-pool or blocking")


def test_where_less_is_better_the_limit_is_an_upper_one() -> None:
    cheap = bar(figure=CPU, at_least=False, limit=0.25)
    assert judge(cheap, {OURS: [figures(1, cpu=2)], POOL: [figures(1, cpu=10)]}).met == YES
    assert judge(cheap, {OURS: [figures(1, cpu=3)], POOL: [figures(1, cpu=10)]}).met == NO


def test_a_repeat_with_a_failure_does_not_count_and_its_error_is_told() -> None:
    row = judge(bar(), {OURS: [figures(300), "broken"], POOL: [figures(100), figures(1)]})
    assert (row.ratio, row.repeats, row.met, row.note) == ("3", 1, YES, "broken")
    row = judge(bar(), {OURS: [figures(300)], POOL: ["not there"]})
    assert (row.ratio, row.repeats, row.met, row.note) == ("", 0, NOT_MEASURED, "not there")


def test_who_starves_clients_is_no_measure() -> None:
    measured: Any = {OURS: [figures(100)], POOL: [figures(900, starved=7)]}
    assert judge(bar(fair=True), measured).met == STARVES
    assert judge(bar(), measured).met == NO


def test_each_bar_has_a_row_of_its_own() -> None:
    identities = [judge(bar_, {who: [] for who in (bar_.ours, *bar_.against)}) for bar_ in bars()]
    assert len({row.identity for row in identities}) == len(identities)
    assert {bar_.letter for bar_ in bars()} == set("abcdefghijk")


class Trials:
    """Stand in for trials: each has its residency, and what others took meanwhile."""

    def __init__(self, *outcomes: tuple[float, float]) -> None:
        self.left = list(outcomes)
        self.percent = 0.0

    @contextmanager
    def watch(self) -> Iterator[Trials]:
        yield self

    def run(self, _trial: object) -> dict[str, Any]:
        resident, self.percent = self.left.pop(0)
        ops = len(self.left)
        client = {"ops": ops, "finished_ns": 1, "latency_ns_max": 1, "latency_histogram": [1, 9]}
        return {
            "error": None,
            "trial": {"clients": 1, "ops_per_client": None},
            "clients": [client],
            "background": [],
            "details": {},
            "seconds": 1.0,
            "cpu_us": 1.0,
            "resident_before": 1.0,
            "resident_after": resident,
        }


def measure(trials: Trials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(contenders, "run_in_fresh_process", trials.run)
    monkeypatch.setattr(contenders, "watch", trials.watch)
    surroundings = Surroundings(directory=tmp_path, file_size=1 << 20, duration_s=1)
    return OURS.measure(surroundings, 0)


def test_a_trial_that_was_spoilt_is_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Evicted, disturbed, good, and one that is not needed.
    trials = Trials((0.5, 1), (1, 50), (1, 3), (1, 1))
    assert measure(trials, tmp_path, monkeypatch)[contenders.DISTURBED] == 3
    assert len(trials.left) == 1


def test_the_least_disturbed_trial_counts_where_none_was_quiet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = Trials((1, 30), (0.5, 12), (1, 50), (1, 1))
    figures = measure(trials, tmp_path, monkeypatch)
    assert (figures[contenders.DISTURBED], figures[OPS]) == (30, 3)
    assert len(trials.left) == 1


def test_trials_that_all_lost_the_file_give_no_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotMeasuredError, match="did not stay in the page cache"):
        measure(Trials(*[(0.5, 1)] * 9), tmp_path, monkeypatch)


def spin(seconds: float) -> tuple[str, ...]:
    program = (
        f"import time; end = time.process_time() + {seconds}\nwhile time.process_time() < end: 0"
    )
    return (sys.executable, "-c", program)


def test_own_children_are_no_disturbance_and_other_programs_are() -> None:
    with watch() as alone:
        subprocess.run(spin(0.5), check=True)
    with subprocess.Popen(spin(0.5)) as other, watch() as beside:
        # Not waited for within the block, so not among those that have ended.
        while not other_has_ended(other.pid):
            subprocess.run((sys.executable, "-c", ""), check=True)
    assert beside.percent > 5
    assert alone.percent >= 0


def other_has_ended(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_the_documents_have_the_tables_that_the_results_give() -> None:
    finished = subprocess.run(
        (sys.executable, "-m", "benchmark.tables", "--check"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr


def test_a_wrong_option_of_tables_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert tables.main(["--chekc"]) == 2
    assert "usage:" in capsys.readouterr().err


def test_what_stands_between_the_markers_is_replaced() -> None:
    for begin, end, render in (
        ("<!-- results:begin -->", "<!-- results:end -->", tables.markdown),
        (".. results:begin", ".. results:end", tables.rst),
    ):
        document = f"before\n\n{begin}\nold\n{end}\n\nafter\n"
        made = tables.with_tables(document, render)
        assert made == f"before\n\n{begin}\n\n{render(tables.throughput())}\n\n{end}\n\nafter\n"
        assert tables.with_tables(made, render) == made
