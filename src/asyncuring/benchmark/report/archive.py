"""All files of a report in one, to be sent around."""

from __future__ import annotations

import gzip
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

ARCHIVE_FILE = "results.tar.gz"

FOLDER = "results"
"""Where the files are once the archive is unpacked."""


def write_archive(directory: Path, names: Iterable[str]) -> None:
    """Pack the files ``names`` of ``directory``; the same files make the same bytes."""
    with (
        (directory / ARCHIVE_FILE).open("wb") as file,
        gzip.GzipFile("", "wb", 6, file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name in sorted(names):
            path = directory / name
            entry = tarfile.TarInfo(f"{FOLDER}/{name}")
            entry.size = path.stat().st_size
            with path.open("rb") as content:
                archive.addfile(entry, content)
