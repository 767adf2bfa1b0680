"""The records file: whole lines, and what a killed writer leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncuring.benchmark.records import (
    append_record,
    begin_records,
    drop_torn_line,
    read_records,
)

if TYPE_CHECKING:
    from pathlib import Path

FIRST = {"kind": "host", "cpu": "ä"}
SECOND = {"kind": "trial", "clients": [1, 2, 3]}


def test_records_come_back_in_order(tmp_path: Path) -> None:
    begin_records(tmp_path, [FIRST])
    append_record(tmp_path, SECOND)
    assert read_records(tmp_path) == [FIRST, SECOND]
    assert [path.name for path in tmp_path.iterdir()] == ["records.jsonl"]


@pytest.mark.parametrize("kept", [0, 1, 10, -1])
def test_a_torn_last_line_is_no_record_and_is_cut_off(kept: int, tmp_path: Path) -> None:
    begin_records(tmp_path, [FIRST])
    path = tmp_path / "records.jsonl"
    whole = path.read_bytes()
    append_record(tmp_path, SECOND)
    line = path.read_bytes()[len(whole) :]
    path.write_bytes(whole + line[:kept])
    assert read_records(tmp_path) == [FIRST]
    drop_torn_line(tmp_path)
    assert path.read_bytes() == whole
    append_record(tmp_path, SECOND)
    assert read_records(tmp_path) == [FIRST, SECOND]


def test_whole_records_are_left_as_they_are(tmp_path: Path) -> None:
    begin_records(tmp_path, [FIRST, SECOND])
    written = (tmp_path / "records.jsonl").read_bytes()
    drop_torn_line(tmp_path)
    assert (tmp_path / "records.jsonl").read_bytes() == written
