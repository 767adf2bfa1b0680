"""What a file holds on simulated media: without a system, without a loop."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from asyncuring.testing._sectors import Content, SimulatedFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncuring.testing._sectors import Kept

SECTOR = 4  # bytes, so that what is expected can be read


def file_of(content: bytes = b"") -> SimulatedFile:
    file = SimulatedFile(SECTOR, 0o644)
    file.hold(len(content), [(0, content)] if content else [])
    return file


def text(content: Content) -> bytes:
    return content.read(0, content.size)


def left(file: SimulatedFile, kept: Sequence[Kept]) -> bytes:
    """What is there after a power cut that left so much of each pending change."""
    by_change = dict(zip(file.pending, kept))  # noqa: B905  one each
    return text(file.crashed(by_change.__getitem__))


def test_what_a_file_held_at_first_is_durable() -> None:
    file = file_of(b"abcdefghij")
    assert text(file.crashed(lambda _: False)) == text(file.now) == b"abcdefghij"


def test_a_write_is_lost_or_kept() -> None:
    file = file_of(b"aaaabbbb")
    file.write(1, 2, b"XYZ")
    assert text(file.now) == b"aaXYZbbb"
    assert text(file.crashed(lambda _: False)) == b"aaaabbbb"
    assert text(file.crashed(lambda _: True)) == b"aaXYZbbb"


def test_a_write_is_torn_between_sectors_and_nowhere_else() -> None:
    file = file_of(b"aaaabbbb")
    write = file.write(1, 2, b"XYZ")
    torn = {left(file, [part]) for part in ([0], [1], [0, 1], [])}
    assert sorted(write.images) == [0, 1]
    assert torn == {b"aaXYbbbb", b"aaaaZbbb", b"aaXYZbbb", b"aaaabbbb"}


def test_a_sector_is_as_the_cache_had_it_at_some_moment() -> None:
    file = file_of(b"aaaa")
    first, second = file.write(1, 0, b"X"), file.write(2, 1, b"Y")
    assert file.pending == [first, second]
    states = {left(file, kept) for kept in product([False, True], repeat=2)}
    assert states == {b"aaaa", b"Xaaa", b"XYaa"}  # the second alone would be "aYaa"


def test_a_sync_covers_what_came_before_it() -> None:
    file = file_of(b"aaaa")
    file.write(1, 0, b"X")
    file.write(2, 0, b"Y")
    file.sync(2)
    assert text(file.crashed(lambda _: False)) == b"Xaaa"
    file.sync(3)
    assert text(file.durable) == b"Yaaa"
    assert file.pending == []


def test_a_durable_write_is_not_undone_by_an_older_one() -> None:
    file = file_of(b"aaaabbbb")
    file.write(1, 0, b"XXXXXXXX")
    file.sync_write(file.write(2, 0, b"YYYY"))
    assert text(file.crashed(lambda _: False)) == b"YYYYbbbb"
    assert text(file.crashed(lambda _: True)) == b"YYYYXXXX"


def test_a_durable_write_takes_the_truncation_before_it_along() -> None:
    file = file_of(b"aaaabbbb")
    file.resize(1, 0)
    file.sync_write(file.write(2, 0, b"Y"))
    assert text(file.crashed(lambda _: False)) == b"Y"


def test_room_that_is_made_late_takes_nothing_away() -> None:
    file = file_of()
    file.resize(1, 4)
    file.sync_write(file.write(2, 4, b"bb"))
    assert text(file.crashed(lambda _: True)) == b"\0\0\0\0bb"


def test_a_file_grows_as_far_as_what_was_kept() -> None:
    file = file_of(b"aaaa")
    file.write(1, 4, b"bbbbbb")
    assert text(file.crashed(lambda _: [1])) == b"aaaabbbb"
    assert text(file.crashed(lambda _: [2])) == b"aaaa\0\0\0\0bb"
    assert text(file.crashed(lambda _: [])) == b"aaaa"


def test_what_follows_a_truncation_is_lost_with_it() -> None:
    file = file_of(b"aaaabbbb")
    truncation = 1
    file.resize(truncation, 2)
    file.write(2, 4, b"cc")
    assert text(file.now) == b"aa\0\0cc"
    assert text(file.crashed(lambda change: change.number != truncation)) == b"aaaabbbb"
    assert text(file.crashed(lambda change: change.number == truncation)) == b"aa"


def test_a_failed_sync_leaves_the_new_content_in_the_cache_and_the_old_on_the_media() -> None:
    file = file_of(b"aaaabbbb")
    file.write(1, 0, b"X")
    file.forget_writes(2)
    file.sync(2)
    assert text(file.now) == b"Xaaabbbb"
    assert text(file.crashed(lambda _: True)) == b"aaaabbbb"
    file.write(2, 1, b"Y")  # the page is dirty again, all of it
    file.sync(3)
    assert text(file.durable) == b"XYaabbbb"


def test_media_and_cache_may_be_written_apart() -> None:
    file = file_of(b"aaaabbbb")
    file.write_cache_alone(0, b"X")
    file.write_media_alone(1, 4, b"X")
    file.sync(2)
    assert text(file.now) == b"Xaaabbbb"
    assert text(file.durable) == b"aaaaXbbb"


@pytest.mark.parametrize(
    ("offset", "by", "expected"),
    [
        (4, -4, b"aaaacccc"),
        (0, -4, b"bbbbcccc"),
        (4, 4, b"aaaa\0\0\0\0bbbbcccc"),
        (0, 8, bytes(8) + b"aaaabbbbcccc"),
    ],
)
def test_sectors_move(offset: int, by: int, expected: bytes) -> None:
    assert text(file_of(b"aaaabbbbcccc").now.moved(offset, by)) == expected


@pytest.mark.parametrize("offset", range(9))
@pytest.mark.parametrize("length", range(1, 10))
def test_a_range_is_zeroed(offset: int, length: int) -> None:
    expected = bytearray(b"aaaabbbbccccdddd__")
    expected[offset : offset + length] = bytes(length)
    assert text(file_of(b"aaaabbbbccccdddd__").now.zeroed(offset, length)) == expected


def test_a_bit_is_flipped_here_and_there() -> None:
    file = file_of(b"aaaa")
    file.write(1, 1, b"b")
    assert file.flip(2, 1) == b"c"
    assert text(file.now) == b"abca"
    assert text(file.durable) == b"aaca"
