"""The files of a trial: one for all clients, one for each, or one for each block.

Which they are, that they are there, and how much of them the page cache has.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from asyncuring.benchmark import dataset
from asyncuring.benchmark.workload import PER_CLIENT, SHARED, WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncuring.benchmark.dataset import Progress
    from asyncuring.benchmark.trial import Trial

FILES_PER_FOLDER = 1000

FILES_LOOKED_UP = 1000
"""Of many small files, for how much of them the page cache has."""


def path_of(  # noqa: PLR0913 - what a name tells
    directory: Path,
    *,
    workload: str,
    block_size: int,
    file_size: int,
    files: str = SHARED,
    clients: int = 1,
) -> Path:
    """Return the file of a trial, or the folder; its name tells what is in it, to be used again.

    ``clients`` includes those of the background.
    """
    work = WORKLOADS[workload]
    kind = "small" if work.small_files else "overwritten" if work.writes else "blocks"
    parts = f"-for-{clients}" if files == PER_CLIENT else ""
    return directory / f"{kind}-{block_size}-{file_size}{parts}"


def size_of_each(trial: Trial) -> int:
    """Return the bytes that a client can go to: those of its file."""
    if trial.files == SHARED:
        return trial.file_size
    blocks = trial.file_size // trial.block_size
    return blocks // (trial.clients + trial.background) * trial.block_size


def part_of(trial: Trial, client: int) -> Trial:
    """Return the trial with the file that is a client's own, if it has one."""
    if trial.files == SHARED:
        return trial
    return replace(trial, path=f"{trial.path}/{client}", file_size=size_of_each(trial))


def first_block_of(trial: Trial, client: int) -> int:
    """Return the number that the first block of a client's file carries."""
    return 0 if trial.files == SHARED else client * (size_of_each(trial) // trial.block_size)


def small_file(trial: Trial, number: int) -> str:
    """Return the path of the file that is block ``number``."""
    return f"{trial.path}/{number // FILES_PER_FOLDER}/{number}"


def all_of(trial: Trial) -> Sequence[str]:
    """Return the paths of all files."""
    if WORKLOADS[trial.workload].small_files:
        return [small_file(trial, number) for number in _blocks(trial)]
    if trial.files == SHARED:
        return [trial.path]
    return [part_of(trial, n).path for n in range(trial.clients + trial.background)]


def are_there(trial: Trial) -> bool:
    """Return whether no room is needed for them any more; they may still have to be filled."""
    each = trial.block_size if WORKLOADS[trial.workload].small_files else size_of_each(trial)
    paths = map(Path, all_of(trial))
    return all(path.is_file() and path.stat().st_size == each for path in paths)


def ensure(trial: Trial, progress: Progress) -> None:
    """Make the files hold numbered blocks; those that do already are used again."""
    if WORKLOADS[trial.workload].small_files:
        _ensure_small(trial, progress)
        return
    for client, path in enumerate(all_of(trial)):
        dataset.ensure_file(
            Path(path),
            size_of_each(trial),
            trial.block_size,
            progress,
            first_block_of(trial, client),
        )


def _blocks(trial: Trial) -> range:
    return range(trial.file_size // trial.block_size)


def _ensure_small(trial: Trial, progress: Progress) -> None:
    size = trial.block_size
    checked = 0
    try:
        for number in _blocks(trial):
            dataset.check_block(Path(small_file(trial, number)).read_bytes(), number * size, size)
            progress(size)
            checked += size
    except (dataset.CorruptBlockError, FileNotFoundError):
        progress(-checked)
        _fill_small(trial, progress)


def _fill_small(trial: Trial, progress: Progress) -> None:
    # An interrupted fill must not leave a folder of the right name.
    unfinished = replace(trial, path=f"{trial.path}.unfinished")
    for path in (trial.path, unfinished.path):
        if Path(path).exists():
            shutil.rmtree(path)
    pool = dataset.make_pool(trial.block_size)
    for number in _blocks(trial):
        file = Path(small_file(unfinished, number))
        if number % FILES_PER_FOLDER == 0:
            file.parent.mkdir(parents=True)
        progress(file.write_bytes(dataset.make_block(number, trial.block_size, pool)))
    # One by one it would take minutes.
    os.sync()
    Path(unfinished.path).rename(trial.path)


def drop_from_cache(trial: Trial) -> None:
    """Have nothing of any file in the page cache."""
    for path in all_of(trial):
        dataset.drop_from_cache(path)


def warm(trial: Trial) -> None:
    """Read all files into the page cache."""
    for path in all_of(trial):
        dataset.warm(path)


def resident_fraction(trial: Trial) -> float | None:
    """Return how much of the files is in the page cache, 0 to 1; None where nobody can tell."""
    paths = all_of(trial)
    some = paths[:: -(-len(paths) // FILES_LOOKED_UP)]
    known = [dataset.resident_fraction(path) for path in some]
    fractions = [fraction for fraction in known if fraction is not None]
    return fmean(fractions) if fractions else None


def write_back(trial: Trial) -> None:
    """Force to disk what was written, so that it does not happen within the next trial.

    A log that grew is cut to its size, and the next trial begins with the same one.
    """
    for path in all_of(trial):
        if trial.files == SHARED:
            os.truncate(path, trial.file_size)
        dataset.write_back(path)
