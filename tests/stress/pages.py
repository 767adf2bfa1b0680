"""The files that lives and families read and write, page by page, and what may stand in them.

It imports nothing that is not quickly there: children do that import everything anew.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = 4096
BLOCKS = 16

# What the page at each place has before anybody writes, and after.
OLD, NEW = b"o" * BLOCK, b"n" * BLOCK


def make_files(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    fill_files(folder)


def fill_files(folder: Path) -> None:
    (folder / "read").write_bytes(OLD * BLOCKS)
    (folder / "written").write_bytes(OLD * BLOCKS)


def check_files(folder: Path, acknowledged: bytes) -> None:
    """Each page is old or new, new where that was acknowledged, and nothing else has changed."""
    assert (folder / "read").read_bytes() == OLD * BLOCKS
    written = (folder / "written").read_bytes()
    assert len(written) == BLOCKS * BLOCK
    for number in range(BLOCKS):
        page = written[number * BLOCK : (number + 1) * BLOCK]
        assert page == NEW or (page == OLD and not acknowledged[number]), number
    (folder / "written").write_bytes(OLD * BLOCKS)
