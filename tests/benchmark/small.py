"""A file and a command that are small enough for tests."""

from __future__ import annotations

import csv
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BLOCK_SIZE = 8192
BLOCKS = 256


def run_benchmark(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "asyncuring.benchmark", *map(str, arguments)),
        capture_output=True,
        text=True,
        check=False,
    )


class Swept:
    def __init__(self, out: Path, finished: subprocess.CompletedProcess[str]) -> None:
        self.out = out
        self.finished = finished

    def rows(self, name: str) -> list[dict[str, str]]:
        with (self.out / name).open(newline="") as file:
            return list(csv.DictReader(file))
