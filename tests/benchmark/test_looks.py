"""Colours, places of labels and ticks."""

from __future__ import annotations

import pytest

from asyncuring.benchmark.engines import ENGINES
from asyncuring.benchmark.report.labels import apart, log_ticks, short, spaced
from asyncuring.benchmark.report.palette import CEILING, HUES, INKS, MUTED, PAPER, TEXT, styles

CONTRAST_MIN = 4.5
"""Of text on what is below it, as WCAG asks."""


def luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("ink", [TEXT, MUTED, CEILING, *HUES], ids=lambda ink: ink.name)
def test_what_is_written_can_be_read_on_light_and_on_dark(ink: object) -> None:
    assert contrast(ink.light, PAPER.light) >= CONTRAST_MIN  # type: ignore[attr-defined]
    assert contrast(ink.dark, PAPER.dark) >= CONTRAST_MIN  # type: ignore[attr-defined]


def test_no_two_inks_are_one_colour() -> None:
    assert len({ink.light for ink in INKS}) == len({ink.dark for ink in INKS}) == len(INKS)


def test_an_engine_looks_the_same_whoever_is_beside_it() -> None:
    alone, together = styles(["asyncuring"]), styles([*ENGINES, "unknown"])
    assert alone["asyncuring"] == together["asyncuring"]
    assert len(set(together.values())) == len(together)


def test_engines_that_a_sweep_has_by_default_share_no_colour() -> None:
    looks = styles([])
    inks = [looks[name].ink for name in ENGINES if ENGINES[name].by_default and ENGINES[name].reads]
    assert len(set(inks)) == len(inks)


def test_labels_keep_apart_stay_inside_and_do_not_overtake() -> None:
    places = apart([0.5, 0.5, 0.98, 1.0, 0.1], 0.1)
    assert places == pytest.approx([0.45, 0.55, 0.9, 1.0, 0.1])


def test_labels_that_have_room_stay_where_they_are() -> None:
    assert apart([0.9, 0.2, 0.5], 0.1) == [0.9, 0.2, 0.5]
    assert apart([], 0.1) == []


def test_many_labels_fill_the_whole_height() -> None:
    places = apart([0.5] * 11, 0.1)
    assert places == pytest.approx([n / 10 for n in range(11)])


def test_ticks_are_round_and_never_too_few() -> None:
    assert log_ticks(5, 12_000) == [10, 100, 1000, 10_000]
    assert log_ticks(4, 110) == [5, 10, 20, 50, 100]
    assert log_ticks(53, 425) == [70, 100, 200, 300]


def test_numbers_that_would_overlap_are_left_out_but_for_the_last() -> None:
    assert spaced([1, 8, 64, 400, 500], 2) == [True, True, True, False, True]
    assert spaced([7], 2) == [True]


def test_ticks_are_short() -> None:
    values = [0, 0.5, 20, 5000, 10_000, 300_000, 4e6, 2e9]
    assert list(map(short, values)) == ["0", "0.5", "20", "5000", "10k", "300k", "4M", "2G"]
