"""What a file holds, and what of that a power cut would leave. Knows no system call and no names.

A file is a table of sectors. Beside what it holds now there is what the media hold, and the changes
between the two, in their order. A change keeps the sectors as the page cache had them after it: so
a sector is on the media as it was at some moment, never a mixture of two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

__all__ = ["Change", "Content", "Kept", "Replacement", "Resize", "SimulatedFile", "Write"]

# What a power cut leaves of a change: all, nothing, or of a write some of its sectors.
Kept: TypeAlias = "bool | Collection[int]"


@dataclass
class Content:
    """Sectors by number, all-zero ones left out, and the size in bytes."""

    sector_size: int
    sectors: dict[int, bytes] = field(default_factory=dict)
    size: int = 0

    def copy(self) -> Content:
        """Return another one that can be changed; the sectors themselves never are."""
        return Content(self.sector_size, dict(self.sectors), self.size)

    def read(self, offset: int, length: int) -> bytes:
        """Return what stands there; zeros behind the end."""
        first, end = offset // self.sector_size, -(-(offset + length) // self.sector_size)
        nothing = bytes(self.sector_size)
        whole = b"".join(self.sectors.get(number, nothing) for number in range(first, end))
        start = offset - first * self.sector_size
        return whole[start : start + length]

    def put(self, images: dict[int, bytes], numbers: Iterable[int]) -> None:
        """Put those of `images` in their places."""
        for number in numbers:
            image = images[number]
            if image.strip(b"\0"):
                self.sectors[number] = image
            else:
                self.sectors.pop(number, None)

    def resize(self, size: int) -> None:
        """Cut off what is behind `size`, or end in a hole."""
        if size < self.size:
            edge, inside = divmod(size, self.sector_size)
            last = self.sectors.get(edge)
            self.sectors = {n: image for n, image in self.sectors.items() if n < edge}
            if inside and last is not None:
                self.put({edge: last[:inside].ljust(self.sector_size, b"\0")}, [edge])
        self.size = size

    def moved(self, offset: int, by: int) -> Content:
        """Return it with all from `offset` on moved up or down; both are multiples of a sector.

        by: where negative, so much from `offset` on is gone.
        """
        first, distance = offset // self.sector_size, by // self.sector_size
        kept = {number: image for number, image in self.sectors.items() if number < first}
        first = max(first, first - distance)
        moved = {n + distance: image for n, image in self.sectors.items() if n >= first}
        return Content(self.sector_size, kept | moved, self.size + by)

    def zeroed(self, offset: int, length: int) -> Content:
        """Return it with zeros there."""
        first, end = -(-offset // self.sector_size), (offset + length) // self.sector_size
        inside = range(first, end)
        kept = {number: image for number, image in self.sectors.items() if number not in inside}
        zeroed = Content(self.sector_size, kept, self.size)
        for edge in {offset // self.sector_size, end} - set(inside):
            start = edge * self.sector_size
            image = bytearray(self.read(start, self.sector_size))
            low, high = max(offset - start, 0), min(offset + length - start, self.sector_size)
            image[low:high] = bytes(max(0, high - low))
            zeroed.put({edge: bytes(image)}, [edge])
        return zeroed

    def extents(self) -> Iterable[tuple[int, bytes]]:
        """Return what is not zeros: offsets, and what stands there, up to the size."""
        for number, image in sorted(self.sectors.items()):
            offset = number * self.sector_size
            yield offset, image[: self.size - offset]


@dataclass(frozen=True, eq=False)
class Write:
    """Sectors as they were after a write, and where it ended."""

    number: int
    images: dict[int, bytes]
    end: int
    is_barrier = False

    def apply(self, content: Content, kept: Kept) -> None:
        """Change `content`; a part extends the file as far as it reaches."""
        numbers = self.images if kept is True else kept or ()
        content.put(self.images, numbers)
        if numbers:
            end = (max(numbers) + 1) * content.sector_size
            content.size = max(content.size, min(self.end, end))
        elif kept is True:
            content.size = max(content.size, self.end)


@dataclass(frozen=True, eq=False)
class Resize:
    """Another size: of a truncation, or of room that was allocated."""

    number: int
    size: int
    is_barrier: bool

    def apply(self, content: Content, kept: Kept) -> None:
        """Change `content`; what was written since it grew may be there before."""
        if kept:
            content.resize(self.size if self.is_barrier else max(self.size, content.size))


@dataclass(frozen=True, eq=False)
class Replacement:
    """All of a file as it was after its sectors had moved, or a great many had become zeros."""

    number: int
    content: Content
    is_barrier = True

    def apply(self, content: Content, kept: Kept) -> None:
        """Change `content`."""
        if kept:
            content.sectors, content.size = dict(self.content.sectors), self.content.size


Change: TypeAlias = "Write | Resize | Replacement"
"""What a file has had done to it. What comes behind a barrier is on the media only if that is: such
changes are in the journal of the file system, and what follows was written to where they led."""


class SimulatedFile:
    """One inode.

    Attributes:
        mode: as in st_mode.
        now: what it holds.
        durable: what the media hold.
        pending: the changes between the two.
        is_known: whether `now` was read from the system's file; before, there are no changes.
    """

    def __init__(self, sector_size: int, mode: int) -> None:
        """Begin empty, there as well as here."""
        self.mode = mode
        self.now = Content(sector_size)
        self.durable = Content(sector_size)
        self.pending: list[Change] = []
        self.is_known = False

    def hold(self, size: int, extents: Iterable[tuple[int, bytes]]) -> None:
        """Take what the system's file holds as durable. Extents begin at sectors."""
        for offset, data in extents:
            self.now.put(*self._images(offset, data))
        self.now.size = size
        self.durable = self.now.copy()
        self.is_known = True

    # -- changes

    def write(self, number: int, offset: int, data: bytes) -> Write:
        """Write bytes; the change is pending, and `number` its place in the order of all."""
        change = self._write(number, offset, data)
        change.apply(self.now, True)
        self.pending.append(change)
        return change

    def write_cache_alone(self, offset: int, data: bytes) -> None:
        """Write what never gets to the media, as long as nothing else is written there."""
        self._write(0, offset, data).apply(self.now, True)

    def write_media_alone(self, number: int, offset: int, data: bytes) -> None:
        """Write what the cache does not have."""
        self.pending.append(self._write(number, offset, data))

    def resize(self, number: int, size: int) -> None:
        """Set the size."""
        self._change(Resize(number, size, is_barrier=size < self.now.size))

    def replace(self, number: int, content: Content) -> None:
        """Set all that it holds."""
        self._change(Replacement(number, content))

    def flip(self, offset: int, bit: int) -> bytes:
        """Flip a bit, here and on the media; returns the byte as it is then."""
        number, place = divmod(offset, self.now.sector_size)
        flipped = b""
        for content in (self.durable, self.now):
            image = bytearray(content.read(number * self.now.sector_size, self.now.sector_size))
            image[place] ^= 1 << bit
            content.put({number: bytes(image)}, [number])
            flipped = bytes(image[place : place + 1])
        return flipped

    def _change(self, change: Change) -> None:
        change.apply(self.now, True)
        self.pending.append(change)

    def _write(self, number: int, offset: int, data: bytes) -> Write:
        return Write(number, self._images(offset, data)[0], offset + len(data))

    def _images(self, offset: int, data: bytes) -> tuple[dict[int, bytes], Sequence[int]]:
        size = self.now.sector_size
        first, last = offset // size, (offset + len(data) - 1) // size
        start, end = first * size, (last + 1) * size
        head = self.now.read(start, offset - start)
        tail = self.now.read(offset + len(data), end - offset - len(data))
        whole = head + data + tail
        numbers = range(first, last + 1)
        images = {n: whole[(n - first) * size : (n - first + 1) * size] for n in numbers}
        return images, numbers

    # -- to the media

    def sync(self, up_to: int) -> None:
        """Bring what has a number below `up_to` to the media."""
        for change in self.pending:
            if change.number < up_to:
                change.apply(self.durable, True)
        self.pending = [change for change in self.pending if change.number >= up_to]

    def sync_write(self, write: Write) -> None:
        """Bring one write to the media, and what its place in the file depends on."""
        barriers = [change.number for change in self.pending if change.is_barrier]
        if barriers:
            self.sync(barriers[-1] + 1)
        write.apply(self.durable, True)
        self.pending = [_without(change, write) for change in self.pending if change is not write]

    def forget_writes(self, up_to: int) -> None:
        """Take the writes below `up_to` for clean, as Linux does after a failed fsync(2)."""
        self.pending = [
            change
            for change in self.pending
            if change.number >= up_to or not isinstance(change, Write)
        ]

    def crashed(self, kept: Callable[[Change], Kept]) -> Content:
        """Return what the media hold after a power cut that left so much of what is pending."""
        content = self.durable.copy()
        for change in self.pending:
            left = kept(change)
            change.apply(content, left)
            if change.is_barrier and not left:
                break
        return content


def _without(change: Change, newer: Write) -> Change:
    """Return what of `change` is not on the media as `newer` has it."""
    if not isinstance(change, Write) or change.number > newer.number:
        return change
    images = {n: image for n, image in change.images.items() if n not in newer.images}
    return Write(change.number, images, change.end)
