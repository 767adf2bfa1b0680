"""The page, the plots and the archive: made of records given by hand, read as their readers do."""

from __future__ import annotations

import csv
import re
import tarfile
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from asyncuring.benchmark.records import append_record
from asyncuring.benchmark.report import write_report
from asyncuring.benchmark.report.charts import sections_of
from asyncuring.benchmark.report.harness import harness_costs
from asyncuring.benchmark.report.tables import tables_of
from asyncuring.benchmark.report.totals import summarise
from tests.benchmark.made_records import interval, record
from tests.benchmark.small import run_benchmark

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from asyncuring.benchmark.report.charts import Chart

HOST = {
    "kind": "host",
    "command": ["asyncuring.benchmark", "--dir", "/a b"],
    "kernel": "6.18",
    "cpu": "<CPU>",
    "cpus": 2,
    "memory_bytes": 8 << 30,
    "file_system": "ext4",
    "device": "/dev/vda",
    "python": "CPython 3.11.7",
    "packages": {"asyncuring": "0.1.0", "trio": None},
}

RATES = {"asyncuring": 100, "blocking": 400, "thread-pool": 20, "null": 900}


def trials(*, repeats: int = 3, engines: Sequence[str] = tuple(RATES)) -> list[dict[str, Any]]:
    """Each engine with 1 and with 4 clients, at the rates above and a little more per repeat."""
    return [
        record(
            [(RATES.get(engine, 50) + repeat) * (3 + client) for client in range(clients)],
            engine=engine,
            loop="none" if engine == "blocking" else "asyncio",
            repeat=repeat,
            seconds=3.0,
        )
        | {"timeline": [interval(n, RATES.get(engine, 50), lag_ns=2000 * n + 1) for n in range(3)]}
        for engine in engines
        for clients in (1, 4)
        for repeat in range(repeats)
    ]


def write(folder: Path, records: Sequence[dict[str, Any]]) -> Path:
    for one in records:
        append_record(folder, one)
    write_report(folder, records)
    return folder


def charts(records: Sequence[dict[str, Any]]) -> dict[str, Chart]:
    summaries = summarise(records)
    sections = sections_of(tables_of(records, summaries), summaries)
    return {chart.name: chart for section in sections for chart in section.charts}


@dataclass
class Page(HTMLParser):
    """What a browser finds: the text by section, and everything that would make it ask around."""

    text: str
    sections: dict[str, str] = field(default_factory=dict)
    references: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    tags: set[str] = field(default_factory=set)
    _section: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        known = {name: value or "" for name, value in attrs}
        if tag == "section" and "id" in known:
            self._section = known["id"]
        if tag == "svg":
            self.images.append(known["aria-label"])
        links = ("href", "xlink:href", "src", "srcset", "action", "data", "poster")
        self.references += [known[name] for name in links if name in known]
        self.references += re.findall(r"url\(([^)]*)\)", known.get("style", ""))
        self.references += re.findall(r"url\(([^)]*)\)", known.get("clip-path", ""))

    def handle_data(self, data: str) -> None:
        self.sections[self._section] = f"{self.sections.get(self._section, '')} {data}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    failed = record([0], engine="pyaio", error="OSError: <broken> & gone", seconds=3.0)
    return write(tmp_path_factory.mktemp("report"), [HOST, *trials(), failed])


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def words(text: str) -> str:
    return " ".join(text.split())


def test_the_page_asks_nobody_for_anything(page: Page) -> None:
    assert page.references
    assert {reference[:1] for reference in page.references} == {"#"}
    assert not page.tags & {"script", "link", "iframe", "object", "img", "base"}
    for address in ("http:", "https:", "//", "@import", "file:"):
        assert address not in page.text


def test_each_plot_is_in_the_page_and_beside_it_in_both_formats(folder: Path, page: Page) -> None:
    expected = {
        *("throughput-asyncio", "cpu-asyncio", "latency-p50-asyncio", "latency-p99-asyncio"),
        *("loop-lag-asyncio", "percentiles-1-asyncio", "percentiles-4-asyncio"),
        *("fairness-4-asyncio", "lorenz-4-asyncio", "timeline-4-asyncio"),
        "timeline-lag-4-asyncio",
    }
    assert set(page.images) == expected
    assert len(page.images) == len(expected)
    plots = folder / "plots"
    assert {path.name for path in plots.iterdir()} == {
        f"{name}.{ending}" for name in expected for ending in ("svg", "png")
    }
    for name in expected:
        picture = ET.fromstring((plots / f"{name}.svg").read_text())  # noqa: S314 - our own
        texts = "".join(picture.itertext())
        assert "asyncuring" in texts
        assert (plots / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_plot_shows_what_the_tables_say(folder: Path) -> None:
    drawn = charts([HOST, *trials()])
    with (folder / "totals.csv").open(newline="") as file:
        totals = [row for row in csv.DictReader(file) if not row["error"]]
    for name, column, factor in (
        ("throughput-asyncio", "ops_per_second", 1e-3),
        ("cpu-asyncio", "cpu_us_per_op", 1.0),
        ("loop-lag-asyncio", "lag_us_p99", 1.0),
    ):
        shown = {
            (series.engine, x): y
            for series in drawn[name].series
            for x, y in zip(series.xs, series.ys, strict=True)
        }
        assert shown == {
            (row["engine"], float(row["clients"])): float(row[column]) * factor for row in totals
        }
    (ours,) = (one for one in drawn["throughput-asyncio"].series if one.engine == "asyncuring")
    rows = [row for row in totals if row["engine"] == "asyncuring"]
    assert ours.lows == [float(row["ops_per_second_min"]) * 1e-3 for row in rows]
    assert ours.highs == [float(row["ops_per_second_max"]) * 1e-3 for row in rows]


def test_fairness_and_timeline_show_the_clients_and_the_seconds_of_one_repeat(
    folder: Path,
) -> None:
    drawn = charts([HOST, *trials()])
    with (folder / "fairness_by_nclients-4.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for series in drawn["fairness-4-asyncio"].series:
        loop = "none" if series.engine == "blocking" else "asyncio"
        assert series.ys == sorted(float(row[f"{series.engine}/{loop} ops"]) for row in rows)
        assert series.xs == [1, 2, 3, 4]
    with (folder / "timeline.csv").open(newline="") as file:
        seconds = [row for row in csv.DictReader(file) if row["clients"] == "4"]
    for series in drawn["timeline-4-asyncio"].series:
        mine = [row for row in seconds if (row["engine"], row["repeat"]) == (series.engine, "1")]
        assert series.ys == [float(row["ops_per_second"]) * 1e-3 for row in mine]


def test_who_has_fewer_seconds_than_others_is_in_the_timeline_as_well() -> None:
    def seen(engine: str, seconds: int) -> dict[str, Any]:
        intervals = {"timeline": [interval(n, 50) for n in range(seconds)]}
        return record([100, 100], engine=engine) | intervals

    drawn = charts([seen("whole", 3), seen("late", 2)])
    assert {one.engine for one in drawn["timeline-2-asyncio"].series} == {"whole", "late"}
    assert "timeline-2-asyncio" not in charts([seen("short", 2)])


def test_a_lorenz_curve_rises_from_nothing_to_all_below_the_diagonal() -> None:
    uneven = [record([0, 10, 30, 60], repeat=0)]
    (series,) = charts(uneven)["lorenz-4-asyncio"].series
    assert series.xs == [0, 25, 50, 75, 100]
    assert series.ys == [0, 0, 10, 40, 100]
    assert series.label == "e 0.50"


def test_where_others_win_is_computed_and_stands_beside_where_they_lose(page: Page) -> None:
    text = words(page.sections["ahead"])
    ahead, behind = text.split("asyncuring wins")
    assert "blocking throughput, on asyncio with 1 and 4 clients 3.97" in ahead
    assert "thread-pool" not in ahead.split("Others win")[1]
    assert "thread-pool throughput, on asyncio with 1 and 4 clients 4.81" in behind
    assert "null" not in text


def test_with_too_few_repeats_nobody_wins_and_the_page_says_so(tmp_path: Path) -> None:
    page = Page((write(tmp_path, trials(repeats=2)) / "report.html").read_text(encoding="utf-8"))
    assert "Nobody with fewer than 3 repeats is ranked" in words(page.sections["noise"])
    text = words(page.sections["ahead"])
    assert text.count("Nowhere that the repeats tell.") == 2
    assert "≈ 3.99" in text
    rank = re.findall(r"(blocking|asyncuring|thread-pool) (?:none|asyncio) (\S+)", text_of(page))
    assert {place for _, place in rank} == {"–"}  # noqa: RUF001 - the page's dash


def text_of(page: Page) -> str:
    return words(page.sections["results"])


def test_results_have_ranks_failures_and_units(page: Page) -> None:
    text = text_of(page)
    assert "blocking none 1 " in text
    assert "asyncuring asyncio 2 " in text
    assert "thread-pool asyncio 3 " in text
    assert "null asyncio no IO" in text
    assert "pyaio asyncio failed OSError: <broken> & gone" in text
    assert "<broken>" not in page.text
    assert "pyaio/asyncio failed with 1 client" in words(page.sections["notes"])
    for unit in ("ops/s", "MiB/s", "µs/op", "p99, µs"):
        assert unit in text


def test_machine_and_command_are_there_as_they_were(page: Page) -> None:
    text = words(page.sections["host"])
    assert "python -m asyncuring.benchmark --dir '/a b'" in text
    assert "<CPU>" in text
    assert "memory bytes 8 GiB" in text
    assert "asyncuring 0.1.0" in text


def test_the_harness_is_held_against_an_await_that_records_nothing(tmp_path: Path) -> None:
    measured = [
        record([ops + repeat], engine=engine, repeat=repeat, seconds=1.0)
        for engine, ops in (("null", 500_000), ("bare", 700_000))
        for repeat in range(3)
    ]
    page = Page((write(tmp_path, measured) / "report.html").read_text(encoding="utf-8"))
    assert "asyncio 1 2.00 1.43 1.40" in words(page.sections["harness"])


def test_each_cost_of_the_harness_says_of_which_setting_and_of_the_fastest_repeat() -> None:
    measured = [
        record([ops * factor], engine=engine, block_size=block_size, repeat=repeat, seconds=1.0)
        for engine, ops in (("null", 500_000), ("bare", 600_000))
        for block_size, factor in ((4096, 1), (8192, 2))
        for repeat in range(2)
    ]
    measured[0]["seconds"] = 9.0
    costs = [(cost.differences, f"{cost.times:.1f}") for cost in harness_costs(summarise(measured))]
    assert costs == [("blocks of 4 KiB", "1.2"), ("blocks of 8 KiB", "1.2")]


def test_without_the_two_engines_the_page_says_how_to_measure_the_harness(page: Page) -> None:
    assert "takes the engines null and bare" in words(page.sections["harness"])


def test_a_difference_of_less_than_one_in_a_hundred_is_nobodys_win(tmp_path: Path) -> None:
    records = [
        record([ops + repeat], engine=engine, repeat=repeat)
        for engine, ops in (("asyncuring", 100_000), ("blocking", 100_500), ("urio", 102_000))
        for repeat in range(3)
    ]
    page = Page((write(tmp_path, records) / "report.html").read_text(encoding="utf-8"))
    ahead, behind = words(page.sections["ahead"]).split("asyncuring wins")
    assert "urio throughput, on asyncio with 1 client 1.02" in ahead
    assert "blocking" not in ahead
    assert "against" not in behind


def test_the_terminal_has_the_harness_and_ranks(tmp_path: Path) -> None:
    bare = [record([700], engine="bare", repeat=n, seconds=1.0) for n in range(3)]
    for one in bare:
        one["clients"][0] |= {"latency_histogram": [], "latency_ns_max": None}
    others = [
        record([ops], engine=engine, repeat=n, seconds=1.0)
        for engine, ops in (("null", 500), ("asyncuring", 300), ("blocking", 200))
        for n in range(3)
    ]
    write(tmp_path, [HOST, *bare, *others])
    finished = run_benchmark("report", tmp_path)
    assert finished.returncode == 0, finished.stderr
    text = words(finished.stdout)
    assert "harness: asyncio, 1 client: null 2000.00 us per op, bare 1428.57: 1.40 times" in text
    assert "1 bare asyncio 700" in text
    assert "asyncuring asyncio 1 300" in text
    assert "blocking asyncio 2 200" in text


def test_a_traced_pass_that_failed_is_a_failed_trial(tmp_path: Path) -> None:
    traced = record([0], error="StraceError: not here", traced=True)
    write(tmp_path, [HOST, record([100]), traced])
    finished = run_benchmark("report", tmp_path)
    assert finished.returncode == 1
    assert "e/asyncio failed with 1 client: StraceError: not here" in finished.stdout


def test_where_the_caches_of_matplotlib_are_is_no_news(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, [HOST, record([100])])
    monkeypatch.setenv("MPLCONFIGDIR", "/proc/nowhere")
    assert run_benchmark("report", tmp_path).stderr == ""


@pytest.mark.parametrize("count", [1, 15])
def test_any_number_of_engines_has_a_page(tmp_path: Path, count: int) -> None:
    engines = [f"engine-{n}" for n in range(count)]
    records = [record([10 * n + 30], engine=name) for n, name in enumerate(engines)]
    page = Page((write(tmp_path, records) / "report.html").read_text(encoding="utf-8"))
    for engine in engines:
        assert engine in page.sections["results"]
    assert "nothing to compare" in words(page.sections["ahead"])
    assert ("throughput-asyncio" in page.images) == (count > 1)


def test_a_sweep_in_which_nothing_worked_has_a_page(tmp_path: Path) -> None:
    page = Page(
        (write(tmp_path, [HOST, record([0], error="OSError: no")]) / "report.html").read_text(
            encoding="utf-8"
        )
    )
    assert "No trial worked." in page.sections["noise"]
    assert "OSError: no" in page.sections["results"]
    assert page.images == []


def test_settings_have_tables_and_plots_of_their_own(tmp_path: Path) -> None:
    records = [
        record([100, 90], engine=engine, direct=direct)
        for direct in (False, True)
        for engine in ("asyncuring", "blocking")
    ]
    page = Page((write(tmp_path, records) / "report.html").read_text(encoding="utf-8"))
    assert "cached" in page.sections["results"]
    assert "O_DIRECT" in page.sections["results"]
    assert {"1-throughput-asyncio", "2-throughput-asyncio"} <= set(page.images)


def test_the_archive_has_all_files_as_they_are(folder: Path) -> None:
    beside = {
        f"results/{path.relative_to(folder)}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "results.tar.gz"
    }
    with tarfile.open(folder / "results.tar.gz") as archive:
        packed = {}
        for member in archive.getmembers():
            content = archive.extractfile(member)
            assert content is not None
            packed[member.name] = content.read()
    assert packed == beside


def test_a_new_report_leaves_no_plot_of_an_older_one(tmp_path: Path) -> None:
    write(tmp_path, trials(repeats=1, engines=["asyncuring", "blocking"])[:2])
    assert (tmp_path / "plots" / "throughput-asyncio.svg").exists()
    write_report(tmp_path, [HOST])
    assert list((tmp_path / "plots").iterdir()) == []
