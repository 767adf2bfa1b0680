"""Names on simulated media: without a system, without a loop."""

from __future__ import annotations

from itertools import count, product
from typing import TYPE_CHECKING

import pytest

from asyncuring.testing._names import Directory, Names
from asyncuring.testing._sectors import SimulatedFile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncuring.testing._names import Entry, Node


class Tree:
    """Names, changed as programs change them."""

    def __init__(self) -> None:
        self.names = Names(0o755)
        self.root = self.names.root
        self.numbers = count(1)

    def change(self, *edits: tuple[Directory, str, Node | None]) -> None:
        self.names.change(next(self.numbers), "a change", *edits)

    def create(self, name: str, directory: Directory | None = None) -> SimulatedFile:
        file = SimulatedFile(512, 0o644)
        self.change((directory or self.root, name, file))
        return file

    def make_directory(self, name: str) -> Directory:
        made = Directory(0o755)
        self.change((self.root, name, made))
        return made

    def rename(self, source: str, target: str) -> None:
        node = self.root.now[source]
        self.change((self.root, source, None), (self.root, target, node))

    def sync(self, directory: Directory | None = None) -> None:
        self.names.sync(directory or self.root, next(self.numbers))

    def left_by(self, kept: Iterable[bool]) -> frozenset[str]:
        return frozenset(self.entries(kept))

    def entries(self, kept: Iterable[bool]) -> dict[str, Entry]:
        by_change: dict[object, bool] = dict(zip(self.names.pending, kept))  # noqa: B905  as many
        return self.names.crashed(lambda change: by_change.get(change, True))

    def outcomes(self) -> set[frozenset[str]]:
        """All that a power cut may leave."""
        choices = product((False, True), repeat=len(self.names.pending))
        return {self.left_by(choice) for choice in choices}


def sets(*names: str) -> set[frozenset[str]]:
    return {frozenset(some.split()) for some in names}


@pytest.fixture
def tree() -> Tree:
    return Tree()


def test_a_new_name_is_there_or_not(tree: Tree) -> None:
    tree.create("a")
    assert tree.outcomes() == sets("", "a")
    tree.sync()
    assert tree.outcomes() == sets("a")


def test_a_removed_name_is_there_or_not(tree: Tree) -> None:
    tree.create("a")
    tree.sync()
    tree.change((tree.root, "a", None))
    assert tree.outcomes() == sets("", "a")


def test_new_names_are_kept_in_any_combination(tree: Tree) -> None:
    tree.create("a")
    tree.create("b")
    assert tree.outcomes() == sets("", "a", "b", "a b")


def test_a_rename_leaves_the_old_name_or_the_new_one(tree: Tree) -> None:
    tree.create("a")
    tree.sync()
    tree.rename("a", "b")
    assert tree.outcomes() == sets("a", "b")


def test_a_rename_over_a_file_leaves_the_old_file_or_the_new_one(tree: Tree) -> None:
    old, new = tree.create("a"), tree.create("b")
    tree.sync()
    tree.rename("b", "a")
    entries = [tree.entries([kept]) for kept in (False, True)]
    assert [{n: e.file for n, e in found.items()} for found in entries] == [
        {"a": id(old), "b": id(new)},
        {"a": id(new)},
    ]


def test_an_exchange_leaves_both_names(tree: Tree) -> None:
    first, second = tree.create("a"), tree.create("b")
    tree.sync()
    tree.change((tree.root, "a", second), (tree.root, "b", first))
    entries = [tree.entries([kept]) for kept in (False, True)]
    assert [[found["a"].file, found["b"].file] for found in entries] == [
        [id(first), id(second)],
        [id(second), id(first)],
    ]


def test_a_rename_is_not_without_the_file_that_was_renamed(tree: Tree) -> None:
    tree.create("new")
    tree.rename("new", "name")
    assert tree.outcomes() == sets("", "new", "name")


def test_what_is_in_a_directory_is_not_without_it(tree: Tree) -> None:
    directory = tree.make_directory("d")
    tree.create("a", directory)
    assert tree.outcomes() == sets("", "d", "d d/a")
    tree.sync(directory)  # its own name is in the directory above
    assert tree.outcomes() == sets("", "d d/a")


def test_a_sync_of_one_directory_leaves_others_open(tree: Tree) -> None:
    directory = tree.make_directory("d")
    tree.sync()
    tree.create("a", directory)
    tree.create("b")
    tree.sync()
    assert tree.outcomes() == sets("b d", "b d d/a")


def test_a_sync_of_either_directory_takes_all_of_a_rename_along(tree: Tree) -> None:
    directory = tree.make_directory("d")
    file = tree.create("a")
    tree.sync()
    tree.change((tree.root, "a", None), (directory, "b", file))
    assert tree.outcomes() == sets("a d", "d d/b")
    tree.sync(directory)
    assert tree.outcomes() == sets("d d/b")


def test_a_sync_covers_what_came_before_it(tree: Tree) -> None:
    tree.create("a")
    number = next(tree.numbers)
    tree.create("b")
    tree.names.sync(tree.root, number)
    assert tree.outcomes() == sets("a", "a b")


def test_directories_do_not_come_to_lie_in_each_other(tree: Tree) -> None:
    one, two = tree.make_directory("one"), tree.make_directory("two")
    tree.sync()
    tree.change((tree.root, "one", None), (two, "one", one))
    tree.change((two, "one", None), (tree.root, "one", one))
    tree.change((tree.root, "two", None), (one, "two", two))
    assert all(len(names) == 2 for names in tree.outcomes())
