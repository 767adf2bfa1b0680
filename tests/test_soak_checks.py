"""What the soak verifies with: each kind of loss is seen, and nothing that is allowed."""

from __future__ import annotations

import os
from itertools import product
from typing import TYPE_CHECKING

import pytest

from tests.soak.content import BLOCK, Label, read_records, sealed, unsealed
from tests.soak.durable import Acknowledgement, Durable, Kind
from tests.soak.guard import Guard
from tests.soak.logs import Log
from tests.soak.model import ZEROS, Place
from tests.soak.pages import Change, Look, PageFile
from tests.soak.process import State
from tests.soak.segments import turn_of
from tests.soak.table import bars_of, growth
from tests.soak.tally import LATE_CHANGES, Tally

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName


def missed(tally: Tally) -> dict[str, int]:
    return {name: count for name, count in tally.bars.items() if count}


def place_with(acknowledged: int, doubtful: int = 0) -> Place:
    """A place with versions 1 to `acknowledged`, and `doubtful` more that were interrupted."""
    place = Place()
    for _ in range(acknowledged):
        place.acknowledge(place.begin())
    for _ in range(doubtful):
        place.doubt(place.begin())
    return place


@pytest.mark.parametrize(
    ("found", "verdict"),
    [(1, "lost"), (2, ""), (3, ""), (4, ""), (5, "wrong"), (ZEROS, "lost"), (None, "torn")],
)
def test_a_place_holds_the_acknowledged_version_or_one_in_doubt(
    found: int | None, verdict: str
) -> None:
    place = place_with(2, doubtful=2)
    assert place.judge(place.glance(), found).split(":")[0] == verdict


def test_once_a_read_has_told_each_later_one_says_the_same() -> None:
    place = place_with(1, doubtful=2)
    assert place.judge(place.glance(), 2) == ""
    assert place.judge(place.glance(), 1).startswith("lost")
    assert place.judge(place.glance(), 3).startswith("wrong")
    assert place.judge(place.glance(), 2) == ""


@pytest.mark.parametrize(("found", "verdict"), [(1, ""), (2, ""), (None, ""), (0, "lost")])
def test_beside_a_write_a_read_finds_old_or_new_or_both(found: int | None, verdict: str) -> None:
    place = place_with(1)
    glance = place.glance()
    place.acknowledge(place.begin())
    assert place.judge(glance, found).split(":")[0] == verdict


def test_a_skipped_write_must_not_be_there() -> None:
    place = place_with(1)
    place.withdraw(place.begin())
    assert place.judge(place.glance(), 2).startswith("wrong")
    assert place.judge(place.glance(), 1) == ""


def test_of_two_writes_with_a_barrier_the_second_wins() -> None:
    place = Place()
    first, second = place.begin(), place.begin()
    place.acknowledge(second)
    place.acknowledge(first)
    assert place.judge(place.glance(), first).startswith("lost")
    assert place.judge(place.glance(), second) == ""


def test_a_hole_is_a_version_as_well() -> None:
    place = place_with(1)
    place.doubt(place.begin(is_hole=True))
    assert place.judge(place.glance(), ZEROS) == ""
    assert place.judge(place.glance(), 1).startswith("lost")
    place.acknowledge(place.begin())
    assert place.judge(place.glance(), ZEROS).startswith("lost")
    assert place.judge(place.glance(), 3) == ""


@pytest.mark.parametrize("at", [0, 5, 20, BLOCK // 2, BLOCK - 1])
def test_content_that_is_changed_anywhere_has_no_label(at: int) -> None:
    content = memoryview(bytearray(sealed(Label(1, 2, 3, 4), BLOCK)))
    assert unsealed(content) == Label(1, 2, 3, 4)
    content[at] ^= 1
    assert unsealed(content) is None


def test_records_end_with_the_last_whole_one() -> None:
    records = [sealed(Label(0, place, 0, 0), 100 + place) for place in range(3)]
    log = b"".join(records)
    assert [label.place for _, _, label in read_records(log)] == [0, 1, 2]
    assert [label.place for _, _, label in read_records(log[:-1])] == [0, 1]


@pytest.fixture
def page_file(tmp_path: Path) -> PageFile:
    """Two blocks, each in its second version."""
    file = PageFile(7, tmp_path / "pages", 2, is_direct=False)
    content = memoryview(bytearray(2 * BLOCK))
    for _ in range(2):
        with Change(file, range(2), 0) as change:
            change.fill(content)
            change.kept(len(content))
    file.path.write_bytes(content)
    return file


@pytest.mark.parametrize(
    ("label", "bar"),
    [
        (Label(7, 1, 2, 0), None),
        (Label(7, 1, 1, 0), "lost acknowledgements"),
        (Label(7, 1, 3, 0), "mismatches"),
        (Label(7, 0, 2, 0), "mismatches"),
        (Label(8, 1, 2, 0), "mismatches"),
    ],
)
def test_a_block_that_was_lost_or_misdirected_is_found(
    page_file: PageFile, label: Label, bar: str | None
) -> None:
    with page_file.path.open("r+b") as file:
        file.seek(BLOCK)
        file.write(sealed(label, BLOCK))
    tally = Tally()
    page_file.check_at_rest(tally)
    assert missed(tally) == ({} if bar is None else {bar: 1})
    assert tally.verified == 2


def test_a_torn_block_and_one_that_is_cut_off_are_found(page_file: PageFile) -> None:
    tally = Tally()
    with page_file.path.open("r+b") as file:
        file.write(b"torn")
    os.truncate(page_file.path, BLOCK)
    page_file.check_at_rest(tally)
    assert missed(tally) == {"mismatches": 1, "lost acknowledgements": 1}


def test_a_read_that_left_its_buffer_alone_is_found(page_file: PageFile) -> None:
    tally = Tally()
    Look(page_file, [0], tally).verify(memoryview(b"\xa5" * BLOCK), BLOCK)
    assert missed(tally) == {"mismatches": 1}


def test_a_buffer_that_changes_late_is_found() -> None:
    tally, released = Tally(LATE_CHANGES), []
    guard = Guard(tally)
    buffers = [bytearray(100), bytearray(100)]
    for number, buffer in enumerate(buffers):
        guard.watch(memoryview(buffer), "", lambda number=number: released.append(number))  # type: ignore[misc]
    guard.sweep()
    assert released == []
    buffers[1][50] = 1
    guard.sweep(everything=True)
    assert (released, missed(tally)) == ([0, 1], {LATE_CHANGES: 1})


RECORDS = [sealed(Label(0, place, 0, 0), 200) for place in range(3)]


@pytest.mark.parametrize(
    ("content", "bar"),
    [
        (RECORDS, None),
        (RECORDS[:2], "lost acknowledgements"),
        ([*RECORDS, RECORDS[0]], "mismatches"),
        ([*RECORDS, b"half"], "mismatches"),
        ([*RECORDS, sealed(Label(0, 9, 0, 0), 200)], "mismatches"),
    ],
)
def test_a_log_has_each_acknowledged_record_once(content: list[bytes], bar: str | None) -> None:
    log = Log(0, acknowledged=range(3))
    tally = Tally()
    log.check(b"".join(content), tally)
    assert set(missed(tally)) == ({bar} if bar else set())


def test_what_a_killed_process_was_told_is_looked_for(tmp_path: Path) -> None:
    durable = Durable(tmp_path)
    record = sealed(Label(0, 5, 0, 0), 100)
    (tmp_path / "pages").write_bytes(sealed(Label(0, 0, 3, 0), BLOCK))
    (tmp_path / "small-2").write_bytes(sealed(Label(0, 2, 3, 0), 100))
    (tmp_path / "committed").write_bytes(record)
    told = [
        Acknowledgement(Kind.SYNCED, 0, 3),
        Acknowledgement(Kind.REPLACED, 2, 3),
        Acknowledgement(Kind.COMMITTED, 5, 100),
    ]
    for one in Acknowledgement.decoded(b"".join(one.encoded() for one in told)):
        durable.acknowledge(one)
    tally = Tally()
    durable.check(tally)
    assert missed(tally) == {}
    for kind, place, version in [(Kind.CHAIN, 0, 4), (Kind.REPLACED, 1, 1), (Kind.APPENDED, 1, 0)]:
        durable.acknowledge(Acknowledgement(kind, place, version))
    os.truncate(tmp_path / "committed", 99)
    durable.check(tally)
    assert missed(tally) == {"lost acknowledgements": 4}


def test_a_bar_that_is_missed_is_told() -> None:
    tally = Tally()
    before = State(1000, 5, 2)
    assert all(bar.is_met for bar in [*bars_of(tally), *growth(before, State(1049, 5, 2))])
    tally.judged("somewhere", "torn")
    bars = [*bars_of(tally), *growth(before, State(1050, 6, 3))]
    assert [bar.name for bar in bars if not bar.is_met] == [
        "mismatches",
        "resident memory",
        "descriptors",
        "threads",
    ]


def test_what_another_thread_missed_is_added() -> None:
    tally, other = Tally(LATE_CHANGES), Tally()
    for one in (tally, other):
        one.ops["read_at"] += 1
        one.judged("somewhere", "lost: it")
    tally.add(other)
    assert (tally.ops["read_at"], tally.verified, len(tally.messages)) == (2, 2, 2)
    assert missed(tally) == {"lost acknowledgements": 2}


def test_in_three_turns_each_driver_meets_each_loop() -> None:
    drivers: list[DriverName] = ["uring", "uring-local", "threads"]
    loops = ["asyncio", "uvloop", "trio"]
    pairs = [pair for turn in range(3) for pair in turn_of(turn, drivers, loops)]
    assert sorted(pairs) == sorted(product(drivers, loops))
    assert turn_of(5, ["threads"], loops) == [
        ("threads", loop) for loop in ("trio", "asyncio", "uvloop")
    ]
