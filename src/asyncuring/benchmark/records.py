"""The file that keeps what was measured: one record a line, each of them whole or not there.

A line goes out in one write and is forced to disk before the next trial begins. Who is killed while
writing leaves at most one torn last line behind, which has no end: it was never a record.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from asyncuring.benchmark.refusal import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from asyncuring.benchmark.recording import Record

RECORDS_FILE = "records.jsonl"


def begin_records(directory: Path, records: Sequence[Record]) -> None:
    """Make the records file of ``directory``; there is none, or one that holds all of these."""
    path = directory / RECORDS_FILE
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        file.writelines(map(_line, records))
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    _force_names(directory)


@contextmanager
def only_writer(directory: Path) -> Iterator[None]:
    """Refuse if another process is about to add records to those of ``directory``."""
    with (directory / RECORDS_FILE).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusalError(f"another process is at work on the sweep in {directory}") from None
        yield


def append_record(directory: Path, record: Record) -> None:
    """Add one line to the records file of ``directory``."""
    rest = _line(record)
    with (directory / RECORDS_FILE).open("ab", buffering=0) as file:
        while rest:
            # All of it at once, unless the disk is full: then the second write says so.
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())


def read_records(directory: Path) -> list[Record]:
    """Return the records of ``directory``, oldest first, without a torn last line."""
    path = directory / RECORDS_FILE
    records: list[Record] = []
    for line_number, line in enumerate(_whole_lines(path), start=1):
        try:
            record = json.loads(line)
            record["kind"]
        except (ValueError, TypeError, KeyError) as error:
            raise RefusalError(f"{path}, line {line_number}, is not a record") from error
        records.append(record)
    return records


def drop_torn_line(directory: Path) -> None:
    """Cut off what follows the last whole record of ``directory``, so that others may follow."""
    path = directory / RECORDS_FILE
    whole = sum(map(len, _whole_lines(path)))
    if whole < path.stat().st_size:
        os.truncate(path, whole)


def _whole_lines(path: Path) -> list[bytes]:
    if not path.is_file():
        raise RefusalError(f"{path} does not exist")
    with path.open("rb") as file:
        return [line for line in file if line.endswith(b"\n")]


def _line(record: Record) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def _force_names(directory: Path) -> None:
    """Make the names in ``directory`` outlive a power cut."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
