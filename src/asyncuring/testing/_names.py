"""Names in directories, and what of them a power cut would leave. Knows no system call.

A change of names is one step, whatever it touches: a rename takes a name away and gives one, and a
power cut leaves both or neither. It cannot be left without the earlier changes that it follows
from, those of the same name or of the same file; others may be left or not, in any combination.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ._sectors import Change, Content, Kept, SimulatedFile

__all__ = ["Directory", "Entry", "NameChange", "Names", "Node", "SymbolicLink"]


@dataclass(eq=False)
class SymbolicLink:
    """What a symbolic link says."""

    target: str


class Directory:
    """Entries by name: those there are now, and those on the media.

    Attributes:
        mode: as in st_mode.
    """

    def __init__(self, mode: int) -> None:
        """Begin empty."""
        self.mode = mode
        self.now: dict[str, Node] = {}
        self.durable: dict[str, Node] = {}


Node: TypeAlias = "SimulatedFile | SymbolicLink | Directory"


@dataclass(frozen=True, eq=False)
class NameChange:
    """One step: what each of some names stands for from then on, None for nothing.

    what: says it, for people.
    """

    number: int
    what: str
    edits: tuple[tuple[Directory, str, Node | None], ...]
    nodes: frozenset[Node]
    is_barrier = False

    def follows_from(self, earlier: NameChange) -> bool:
        """Return whether this cannot be without `earlier`."""
        moved = self.nodes & earlier.nodes
        places = {(id(directory), name) for directory, name, _ in self.edits}
        return (
            bool(moved)
            or any((id(directory), name) in places for directory, name, _ in earlier.edits)
            # Directories that are moved in another order could come to lie in each other.
            or (self._moves_directories() and earlier._moves_directories())
        )

    def _moves_directories(self) -> bool:
        return len(self.edits) > 1 and any(isinstance(node, Directory) for node in self.nodes)


@dataclass(frozen=True)
class Entry:
    """What a name stands for after a power cut: a file's content, a link's target, or neither.

    file: tells which names are the same file's.
    """

    mode: int
    content: Content | None = None
    target: str | None = None
    file: int = 0


class Names:
    """The names on a disk.

    Attributes:
        root: the directory that holds all.
        pending: changes that are not on the media, in their order.
    """

    def __init__(self, mode: int) -> None:
        """Begin with an empty directory."""
        self.root = Directory(mode)
        self.pending: list[NameChange] = []

    def change(self, number: int, what: str, *edits: tuple[Directory, str, Node | None]) -> None:
        """Change names in one step, whose place in the order of all changes is `number`."""
        nodes: set[Node] = {node for _, _, node in edits if node is not None}
        for directory, name, node in edits:
            before = directory.now.pop(name, None)
            if before is not None:
                nodes.add(before)
            if node is not None:
                directory.now[name] = node
        self.pending.append(NameChange(number, what, edits, frozenset(nodes)))

    def sync(self, directory: Directory, up_to: int) -> None:
        """Bring the changes in `directory` with a number below `up_to` to the media.

        With them go the changes elsewhere that they follow from.
        """
        wanted: list[NameChange] = []
        for change in reversed(self.pending):
            here = any(place is directory for place, _, _ in change.edits)
            if (here and change.number < up_to) or any(c.follows_from(change) for c in wanted):
                wanted.append(change)
        for change in reversed(wanted):
            for place, name, node in change.edits:
                _set(place.durable, name, node)
        self.pending = [change for change in self.pending if change not in wanted]

    def crashed(self, kept: Callable[[Change | NameChange], Kept]) -> dict[str, Entry]:
        """Return what there is, by path, after a power cut that left so much of what is pending."""
        lost: list[NameChange] = []
        entries = {id(self.root): dict(self.root.durable)}
        for change in self.pending:
            if not kept(change) or any(change.follows_from(earlier) for earlier in lost):
                lost.append(change)
                continue
            for directory, name, node in change.edits:
                _set(entries.setdefault(id(directory), dict(directory.durable)), name, node)
        return dict(_walk(self.root, "", entries, kept))

    def nodes(self) -> Iterator[Node]:
        """All nodes that there are, or may be after a power cut; each once."""
        seen: set[Node] = set()
        found: list[Node] = [self.root, *(node for change in self.pending for node in change.nodes)]
        while found:
            node = found.pop()
            if node in seen:
                continue
            seen.add(node)
            yield node
            if isinstance(node, Directory):
                found += [*node.now.values(), *node.durable.values()]


def _set(entries: dict[str, Node], name: str, node: Node | None) -> None:
    if node is None:
        entries.pop(name, None)
    else:
        entries[name] = node


def _walk(
    directory: Directory,
    above: str,
    entries: dict[int, dict[str, Node]],
    kept: Callable[[Change | NameChange], Kept],
) -> Iterator[tuple[str, Entry]]:
    for name, node in sorted(entries.get(id(directory), directory.durable).items()):
        path = f"{above}{name}"
        if isinstance(node, Directory):
            yield path, Entry(node.mode)
            yield from _walk(node, f"{path}/", entries, kept)
        elif isinstance(node, SymbolicLink):
            yield path, Entry(0o777, target=node.target)
        else:
            yield path, Entry(node.mode, content=node.crashed(kept), file=id(node))
