"""What was attacked and what came of it: the rows of docs/attacks.csv.

A test notes each of its attacks through the fixture `note_attack`. They are written only where that
is asked for (`make stress RECORD=yes`): a row takes the place of the one that has the same key.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

__all__ = ["Attack", "write_attacks"]

PATH = Path(__file__).parents[2] / "docs" / "attacks.csv"


class Attack(NamedTuple):
    """One row; the first three are its key.

    part: cancellation, lifecycle, hostile system, bad disk, simulated disk, lock-free, …
    attack: what was done. on: driver, loop, file system, … tried: how many times, with the unit.
    outcome: what came out, in numbers.
    """

    part: str
    attack: str
    on: str
    tried: str
    outcome: str


def write_attacks(attacks: list[Attack], path: Path = PATH) -> None:
    """Put `attacks` into the table at `path`."""
    rows: list[Attack] = []
    if path.exists():
        with path.open(newline="") as file:
            rows = [Attack(*row) for row in list(csv.reader(file))[1:]]
    table = {attack[:3]: attack for attack in (*rows, *attacks)}
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Attack._fields)
        writer.writerows(table[key] for key in sorted(table))
