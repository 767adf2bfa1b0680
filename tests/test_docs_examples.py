"""The programs that README and docs show are files, and each of them runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))
NEEDS = {"dask_zarr": ["zarr", "distributed"], "ray_files": ["ray"]}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(example: Path, tmp_path: Path) -> None:
    for package in NEEDS.get(example.stem, []):
        pytest.importorskip(package)
    done = subprocess.run(
        [sys.executable, "-W", "error", example],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_readme_shows_the_examples() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    shown = ["read_asyncio.py", "read_trio.py"]
    assert blocks == [(ROOT / "docs" / "examples" / name).read_text() for name in shown]
