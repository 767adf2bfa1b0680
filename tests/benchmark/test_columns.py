"""The columns that the reference describes are those of the files."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmark.small import run_benchmark

if TYPE_CHECKING:
    from collections.abc import Iterator

REFERENCE = Path(__file__).parents[2] / "docs" / "benchmark-files.csv"


def headers(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The files by the names that the reference has for them, and their columns likewise."""
    for path in folder.glob("*.csv"):
        with path.open(newline="") as file:
            header = next(csv.reader(file))
        name = re.sub(r"-\d+\.csv$", "-<N>.csv", path.name)
        yield name, [re.sub(r"^\S+/\S+ ", "<engine>/<loop> ", column) for column in header]


def test_the_reference_has_each_column_of_each_file_in_its_order(
    files: Path, tmp_path: Path
) -> None:
    options = "--engines blocking --clients 2 --ops-per-client 10 --file-size 1MiB"
    finished = run_benchmark(*options.split(), "--out", tmp_path, "--dir", files)
    assert finished.returncode == 0, finished.stderr
    described = defaultdict(list)
    with REFERENCE.open(newline="") as file:
        for row in csv.DictReader(file):
            described[row["file"]].append(row["column"])
            assert row["meaning"], row
    assert described == dict(headers(tmp_path))
