"""A file of blocks, and what each of its blocks may hold."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.soak.content import BLOCK, HOLE, Label, filled, unsealed
from tests.soak.model import ZEROS, Place

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from typing_extensions import Self

    from asyncuring import UringFile
    from tests.soak.model import Glance
    from tests.soak.tally import Tally

__all__ = ["Change", "Look", "PageFile"]


class PageFile:
    """One file of blocks; each block has one writer, and any number of readers.

    Attributes:
        number: what its blocks' labels say.
        places: what is known of each block.
        is_direct: opened with O_DIRECT.
        uring_file: open while the soak runs.
    """

    def __init__(self, number: int, path: Path, blocks: int, *, is_direct: bool) -> None:
        """Begin with a file that has `blocks` blocks of zeros."""
        self.number = number
        self.path = path
        self.is_direct = is_direct
        self.places = [Place() for _ in range(blocks)]
        self.uring_file: UringFile

    @property
    def size(self) -> int:
        """In bytes, when it is not truncated."""
        return len(self.places) * BLOCK

    def check_at_rest(self, tally: Tally) -> None:
        """Verify every block, past the library, when nothing is under way."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            for number in range(len(self.places)):
                content = os.pread(fd, BLOCK, number * BLOCK)
                Look(self, [number], tally).verify(memoryview(bytearray(content)), len(content))
        finally:
            os.close(fd)


class Look:
    """One read of some blocks, verified against what was acknowledged before."""

    def __init__(self, file: PageFile, numbers: Iterable[int], tally: Tally) -> None:
        """Look what is known before the read."""
        self._file = file
        self._tally = tally
        self._glances: list[tuple[int, Glance]] = [
            (number, file.places[number].glance()) for number in numbers
        ]

    def verify(self, view: memoryview, count: int) -> None:
        """Verify the first `count` bytes; behind the end of a file are zeros, if anything."""
        for index, (number, glance) in enumerate(self._glances):
            start, end = index * BLOCK, (index + 1) * BLOCK
            if count < end:
                have = bytes(view[start : max(start, count)])
                content: bytes | memoryview = have + bytes(BLOCK - len(have))
            else:
                content = view[start:end]
            self._verify_block(number, glance, content)

    def _verify_block(self, number: int, glance: Glance, content: bytes | memoryview) -> None:
        place = self._file.places[number]
        where = f"{self._file.path.name}, block {number}"
        if not place.was_alone(glance):
            self._tally.beside += 1
        if content == HOLE:
            self._tally.judged(where, place.judge(glance, ZEROS))
            return
        label = unsealed(content)
        if label is not None and (label.file, label.place) != (self._file.number, number):
            self._tally.judged(where, f"wrong: it holds {label}")
            return
        self._tally.judged(where, place.judge(glance, None if label is None else label.version))


class Change:
    """One write of some blocks, in a ``with`` block: in doubt but for what is `kept` by its end."""

    def __init__(
        self, file: PageFile, numbers: Iterable[int], writer: int, *, is_hole: bool = False
    ) -> None:
        """Begin it at the start of the block."""
        self._file = file
        self._writer = writer
        self._is_hole = is_hole
        self._numbers = list(numbers)
        self._versions: list[int] = []
        self._kept: set[int] = set()
        self._skipped: set[int] = set()

    def __enter__(self) -> Self:
        self._versions = [
            self._file.places[number].begin(is_hole=self._is_hole) for number in self._numbers
        ]
        return self

    def fill(self, view: memoryview) -> memoryview:
        """Make in `view` what is to be written."""
        labels = [
            Label(self._file.number, number, version, self._writer)
            for number, version in zip(self._numbers, self._versions)  # noqa: B905  one for each
        ]
        filled(view, labels)
        return view

    def kept(self, count: int, start: int = 0) -> None:
        """`count` bytes were written, from the block with index `start` on."""
        self._kept.update(range(start, start + count // BLOCK))

    def skipped(self, index: int) -> None:
        """The block with that index was certainly not written."""
        self._skipped.add(index)

    def __exit__(self, *exc_info: object) -> None:
        for index, number in enumerate(self._numbers):
            place, version = self._file.places[number], self._versions[index]
            if index in self._kept:
                place.acknowledge(version)
            elif index in self._skipped:
                place.withdraw(version)
            else:
                place.doubt(version)
