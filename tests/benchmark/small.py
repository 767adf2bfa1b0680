"""A file and a command that are small enough for tests."""

from __future__ import annotations

import subprocess
import sys

BLOCK_SIZE = 8192
BLOCKS = 256


def run_benchmark(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "asyncuring.benchmark", *map(str, arguments)),
        capture_output=True,
        text=True,
        check=False,
    )
