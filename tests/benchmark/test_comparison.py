"""Two sweeps compared: on figures given by hand, through the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from asyncuring.benchmark.cli import main
from asyncuring.benchmark.comparison import Verdict, compare
from asyncuring.benchmark.noise import Ratio
from asyncuring.benchmark.refusal import RefusalError
from tests.benchmark.made_records import record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    Records = list[dict[str, Any]]

HOST = {"kind": "host", "cpu": "a fast one"}


def repeats(counts: Sequence[int], engine: str = "e", **options: Any) -> Records:
    made = [record([count], repeat=repeat, **options) for repeat, count in enumerate(counts)]
    for one in made:
        one["trial"]["engine"] = engine
    return made


def verdicts(before: Records, after: Records, tolerance: float = 0.05) -> list[Verdict]:
    return [row.verdict for row in compare(before, after, tolerance).compared]


def test_slower_is_what_is_beyond_noise_and_beyond_the_tolerance() -> None:
    before = repeats([1000, 1010, 990])
    assert verdicts(before, repeats([900, 905, 895])) == [Verdict.SLOWER]
    assert verdicts(before, repeats([900, 905, 895]), 0.2) == [Verdict.TOLERATED]
    assert verdicts(before, repeats([900, 1005, 895])) == [Verdict.WITHIN_NOISE]
    assert verdicts(before, repeats([1100, 1105, 1095])) == [Verdict.FASTER]


def test_the_ratio_is_after_over_before() -> None:
    (row,) = compare(repeats([1000, 1000, 1000]), repeats([500, 500, 500]), 0).compared
    assert row.ratios["ops_per_second"] == Ratio(0.5, 0.5, 0.5)
    assert row.ratios["cpu_us_per_op"] == Ratio(2, 2, 2)


def test_what_fails_now_is_as_bad_as_what_is_slower() -> None:
    before = repeats([1000, 1010, 990])
    after = repeats([1000, 1010]) + repeats([1], error="OSError: broken")
    comparison = compare(before, after, 0.05)
    assert [row.verdict for row in comparison.compared] == [Verdict.FAILED]
    assert comparison.is_bad


def test_what_does_no_io_is_shown_and_not_judged() -> None:
    before = repeats([1000, 1010, 990]) + repeats([1000, 1010, 990], "null")
    after = repeats([1000, 1010, 990]) + repeats([100, 101, 99], "null")
    comparison = compare(before, after, 0.05)
    assert {row.combination.engine: row.verdict for row in comparison.compared} == {
        "e": Verdict.WITHIN_NOISE,
        "null": Verdict.CEILING,
    }
    assert not comparison.is_bad


def test_what_only_one_has_is_counted() -> None:
    both = repeats([1000, 1010, 990])
    comparison = compare(
        both + repeats([1], "old"), both + repeats([1], "n1") + repeats([1], "n2"), 0
    )
    assert [row.combination.engine for row in comparison.compared] == ["e"]
    assert (comparison.only_before, comparison.only_after) == (1, 2)


def test_too_few_repeats_and_nothing_in_common_are_refused() -> None:
    with pytest.raises(RefusalError, match="run the sweeps with --repeat 3 or more"):
        compare(repeats([1000, 1010, 990]), repeats([1000, 1010]), 0)
    with pytest.raises(RefusalError, match="no combination in common"):
        compare(repeats([1000]), repeats([1000], "other"), 0)


def test_one_with_enough_repeats_is_compared_beside_one_with_too_few() -> None:
    before = repeats([1000, 1010, 990]) + repeats([1000], "once")
    assert verdicts(before, before) == [Verdict.WITHIN_NOISE, Verdict.TOO_FEW]


def written(path: Path, records: Records, **host: str) -> str:
    path.mkdir()
    lines = [json.dumps(one) + "\n" for one in [HOST | host, *records]]
    (path / "records.jsonl").write_text("".join(lines))
    return str(path)


def test_the_exit_status_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = written(tmp_path / "a", repeats([1000, 1010, 990]))
    slower = written(tmp_path / "b", repeats([900, 905, 895]), cpu="a slow one")
    assert main(["compare", before, before]) == 0
    assert main(["compare", slower, before]) == 0
    assert main(["compare", before, slower, "--tolerance", "20%"]) == 0
    capsys.readouterr()
    assert main(["compare", before, slower]) == 1
    output = capsys.readouterr().out
    assert "0.90" in output
    assert "slower" in output
    assert "note: cpu was a fast one, then a slow one" in output
    assert "1 of 1 combinations are slower by more than 5.0%" in output


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("compare a", "the following arguments are required: DIR_B"),
        ("compare a b --tolerance 200%", "'200%' is not a share such as 5% or 0.05"),
        ("compare a b --tolerance x", "'x' is not a share"),
        ("compare /nosuch /nosuch", "/nosuch/records.jsonl does not exist"),
    ],
)
def test_a_wrong_comparison_is_refused(
    arguments: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments.split()) == 2
    assert reason in capsys.readouterr().err
