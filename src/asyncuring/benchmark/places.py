"""Whether the file system will do what a sweep asks of it, before anything is left there."""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from asyncuring.benchmark import files
from asyncuring.benchmark.refusal import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncuring.benchmark.sweep import Sweep


PAGE_BYTES = 4096


def refuse_places(sweeps: Iterable[Sweep]) -> None:
    """Refuse a folder that cannot be written, has no O_DIRECT, or not the room."""
    missing: dict[str, int] = {}
    for sweep in sweeps:
        _refuse_folder(Path(sweep.directory), sweep.block_size if sweep.direct else None)
        for path, trial in sweep.one_for_each_path().items():
            if not files.are_there(trial):
                missing[path] = trial.file_size
    if missing:
        folder = _existing(Path(next(iter(missing))).parent)
        needed, free = sum(missing.values()), shutil.disk_usage(folder).free
        if free < needed:
            raise RefusalError(
                f"{folder} has {free >> 20} MiB free, the files need {needed >> 20} MiB;"
                " choose another --dir or a smaller --file-size"
            )


def refuse_out(out: Path) -> None:
    """Refuse a folder for records that cannot be written."""
    _refuse_folder(out, None)


def _refuse_folder(folder: Path, direct_block: int | None) -> None:
    """Try it with a file that has no name, in the folder or in what it will be made in."""
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)) as file:
            if direct_block is not None:
                file.write(bytes(PAGE_BYTES))
                file.flush()
                _refuse_without_direct(file.fileno(), folder, direct_block)
    except OSError as error:
        raise RefusalError(f"{folder}: {error.strerror}; choose another one") from error


def _refuse_without_direct(fd: int, folder: Path, block_size: int) -> None:
    if not hasattr(os, "O_DIRECT"):
        raise RefusalError("this operating system has no O_DIRECT; measure without --direct")
    try:
        direct_fd = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_DIRECT)
        try:
            # What offsets and lengths are multiples of; larger blocks are none the better aligned.
            aligned = min(block_size & -block_size, PAGE_BYTES)
            with mmap.mmap(-1, aligned) as buf:
                os.preadv(direct_fd, [buf], 0)
        finally:
            os.close(direct_fd)
    except OSError as error:
        raise RefusalError(
            f"{folder} cannot be read with O_DIRECT in blocks of {block_size}: {error.strerror};"
            " choose another --dir or --block-size"
        ) from error


def _existing(folder: Path) -> Path:
    """Return the folder, or the first one above it that is there."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
