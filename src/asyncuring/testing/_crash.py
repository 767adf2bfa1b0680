"""States that a power cut may leave. Knows no system call but those that put one in place."""

from __future__ import annotations

import os
import shutil
from itertools import count
from typing import TYPE_CHECKING

from ._names import NameChange, Names
from ._sectors import SimulatedFile, Write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from random import Random

    from ._names import Entry
    from ._sectors import Change, Kept

__all__ = ["CrashState", "any_state", "states"]

# Of states drawn at random, so many that are like earlier ones in a row end the search for more.
_ALIKE_MAX = 100


class CrashState:
    """What a disk holds after a power cut: one of the states that there may be.

    Attributes:
        description: what of the last changes it has, in words.
        names: the paths of all there is, from the disk's folder on.
    """

    def __init__(self, folder: Path, description: str, entries: dict[str, Entry]) -> None:
        """Use `SimulatedDisk.crash_states`."""
        self._folder = folder
        self._entries = entries
        self.description = description
        self.names = tuple(entries)

    def read(self, name: str) -> bytes:
        """Return what the file of that name holds.

        Raises:
            FileNotFoundError: there is no file of that name.
        """
        entry = self._entries.get(name)
        if entry is None or entry.content is None:
            raise FileNotFoundError(f"no file {name!r} in this state")
        return entry.content.read(0, entry.content.size)

    def restore(self) -> None:
        """Let the disk's folder hold this state, and nothing else.

        Raises:
            OSError: the system's folder cannot be written.
        """
        for path in self._folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        files: dict[int, Path] = {}
        for name, entry in self._entries.items():
            path = self._folder / name
            if entry.target is not None:
                path.symlink_to(entry.target)
            elif entry.content is None:
                path.mkdir()
            elif entry.file in files:
                os.link(files[entry.file], path)
            else:
                files[entry.file] = path
                _write(path, entry)
        for name, entry in reversed(self._entries.items()):  # a directory may forbid to write in it
            if entry.target is None:
                (self._folder / name).chmod(entry.mode & 0o7777)

    def __repr__(self) -> str:
        """Say what it is."""
        return f"<CrashState: {self.description}>"

    def _key(self) -> tuple[object, ...]:
        """Tell equal states: by what programs can see."""
        numbers: dict[int, int] = {}
        return tuple(
            (
                *(name, entry.mode, entry.target, numbers.setdefault(entry.file, len(numbers))),
                None if entry.content is None else entry.content.size,
                () if entry.content is None else tuple(entry.content.extents()),
            )
            for name, entry in self._entries.items()
        )


def _write(path: Path, entry: Entry) -> None:
    assert entry.content is not None
    with path.open("xb") as file:
        for offset, data in entry.content.extents():
            file.seek(offset)
            file.write(data)
        file.truncate(entry.content.size)


def _pending(names: Names) -> list[Change | NameChange]:
    """All that is not on the media, in the order in which it was done."""
    changes: list[Change | NameChange] = [*names.pending]
    for node in names.nodes():
        if isinstance(node, SimulatedFile):
            changes += node.pending
    return sorted(changes, key=lambda change: change.number)


def any_state(folder: Path, names: Names, random: Random) -> CrashState:
    """Draw one of the states."""
    changes = _pending(names)
    return _state(folder, names, changes, _drawn(changes, random), "drawn by the seed")


def states(folder: Path, names: Names, random: Random) -> Iterator[CrashState]:
    """Enumerate states, each once: the telling ones first, then some drawn by the seed."""
    changes = _pending(names)
    seen = set()
    alike = 0
    for what, kept in _choices(changes, random):
        state = _state(folder, names, changes, kept, what)
        key = state._key()  # noqa: SLF001  of this file
        if key not in seen:
            seen.add(key)
            alike = 0
            yield state
        elif what.startswith("drawn"):
            alike += 1
            if alike == _ALIKE_MAX:
                return


def _state(
    folder: Path,
    names: Names,
    changes: Sequence[Change | NameChange],
    kept: Sequence[Kept],
    what: str,
) -> CrashState:
    by_change = {id(change): left for change, left in zip(changes, kept)}  # noqa: B905  one each
    lost = sum(left is False for left in kept)
    torn = sum(not isinstance(left, bool) for left in kept)
    words = f"{what} (of {len(changes)} pending changes {lost} lost, {torn} torn)"
    return CrashState(folder, words, names.crashed(lambda change: by_change[id(change)]))


def _choices(
    changes: Sequence[Change | NameChange], random: Random
) -> Iterator[tuple[str, list[Kept]]]:
    total = len(changes)
    yield "everything lost", [False] * total
    yield "everything kept", [True] * total
    for index, change in enumerate(changes):
        yield f"lost: {_words(change)}", [place != index for place in range(total)]
    for length in range(1, total):
        yield f"the first {length} kept", [place < length for place in range(total)]
    for index, change in enumerate(changes):
        for part, kept in _halves(change):
            choice: list[Kept] = [True] * total
            choice[index] = kept
            yield f"{part} kept: {_words(change)}", choice
    if not changes:
        return
    for number in count(1):
        yield f"drawn, number {number}", _drawn(changes, random)


def _words(change: Change | NameChange) -> str:
    if isinstance(change, NameChange):
        return change.what
    if isinstance(change, Write):
        return f"a write up to {change.end}, of {len(change.images)} sectors"
    return "a change of size" if not change.is_barrier else "a truncation"


def _halves(change: Change | NameChange) -> Iterator[tuple[str, list[int]]]:
    if isinstance(change, Write) and len(change.images) > 1:
        numbers = sorted(change.images)
        middle = len(numbers) // 2
        yield "first half", numbers[:middle]
        yield "second half", numbers[middle:]


def _drawn(changes: Sequence[Change | NameChange], random: Random) -> list[Kept]:
    """Draw for each change; some power cuts lose nearly all, some nearly nothing."""
    chance = random.choice((0.1, 0.5, 0.9))
    return [_draw(change, chance, random) for change in changes]


def _draw(change: Change | NameChange, chance: float, random: Random) -> Kept:
    if isinstance(change, Write) and len(change.images) > 1 and random.random() < 1 / 3:
        return [number for number in sorted(change.images) if random.random() < chance]
    return random.random() < chance
