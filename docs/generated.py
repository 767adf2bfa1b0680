"""What the manual takes from the code, written anew by each build: tables, words, a drawing."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from asyncuring.benchmark.options import GROUPS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "_build" / "generated"

# Of the drawing, in pixels.
_WIDTH, _ROW, _LETTER, _GAP = 760, 40, 7.2, 8


def write_all() -> None:
    """Write every file that the pages include."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    _write_options(FOLDER / "benchmark-options.csv")
    _write("glossary.rst", "\n".join(_glossary()))
    _write("changelog.md", _changelog())
    _write("attacks.rst", "\n".join(_attacks()))
    _write("floors.svg", _drawing(_rows()))


def _write(name: str, text: str) -> None:
    (FOLDER / name).write_text(text, encoding="utf-8")


def _write_options(path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["", "option", "value", "meaning"])
        for group, options in GROUPS.items():
            rows.writerows(
                [group, f"``--{option.name}``", option.metavar or "", option.text]
                for option in options
            )


def _glossary() -> Iterator[str]:
    """Take the words from the table in ARCHITECTURE.md."""
    yield ".. glossary::\n   :sorted:\n"
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    words = re.findall(r"^\| \*\*(.+?)\*\* \| (.+) \|$", text, re.MULTILINE)
    for word, meaning in words:
        yield f"   {word}\n      {meaning.replace('`', '``')}\n"


def _changelog() -> str:
    """Return what the next release will say, and what former ones said."""
    draft = subprocess.run(
        [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "Not yet released"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    _, _, news = draft.partition("## ")
    _, _, released = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("-->")
    return f"## {news}\n{released}"


def _attacks() -> Iterator[str]:
    """Make a table of each part of docs/attacks.csv, which the stress tests write.

    What was tried alike and came out alike, on several drivers or loops, is one row.
    """
    with (ROOT / "docs" / "attacks.csv").open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    for part in dict.fromkeys(row[0] for row in rows):
        title = part[0].upper() + part[1:]
        yield f"{title}\n{'~' * len(title)}\n\n.. list-table::\n   :header-rows: 1\n"
        yield "   * - attack\n     - on\n     - tried\n     - outcome"
        places: dict[tuple[str, str, str], list[str]] = {}
        for _, attack, place, tried, outcome in (row for row in rows if row[0] == part):
            places.setdefault((attack, tried, outcome), []).append(place)
        for (attack, tried, outcome), where in places.items():
            cells = (attack, "; ".join(where), tried, outcome)
            yield "   * - " + "\n     - ".join(cell.replace("*", "\\*") for cell in cells)
        yield ""


# -- the floors


def _rows() -> list[list[str]]:
    """Sort the parts of the library into floors: each stands above all that it imports."""
    sys.path.insert(0, str(ROOT))
    from tests.test_architecture import FLOORS  # noqa: PLC0415  of the checkout, not installed

    heights: dict[str, int] = {}

    def height(part: str, above: tuple[str, ...]) -> int:
        if part not in heights:
            below = FLOORS.get("__init__" if part == "asyncuring" else part, set())
            reached = [height(other, (*above, part)) for other in below if other not in above]
            heights[part] = max(reached, default=-1) + 1
        return heights[part]

    for part in FLOORS:
        height(part, ())
    del heights["__init__"]  # drawn as the package
    return [
        sorted(part for part in heights if heights[part] == floor)
        for floor in range(max(heights.values()), -1, -1)
    ]


def _drawing(rows: list[list[str]]) -> str:
    boxes: list[str] = []
    top = _GAP
    for number, parts in enumerate(rows):
        left = _GAP
        first = top
        for part in parts:
            width = len(part) * _LETTER + 16
            if left + width > _WIDTH - _GAP:
                left, top = _GAP, top + _ROW - _GAP
            boxes.append(
                f'<rect x="{left}" y="{top}" width="{width:.0f}" height="24" rx="4"/>'
                f'<text x="{left + width / 2:.1f}" y="{top + 16}">{escape(part)}</text>'
            )
            left += round(width) + _GAP
        top += _ROW
        if number < len(rows) - 1:
            boxes.append(f'<path d="M0 {top - 7} H{_WIDTH}"/>')
        assert first < top
    return (
        f'<svg viewBox="0 0 {_WIDTH} {top}" role="img" aria-label="the floors" '
        'style="max-width:100%;font:12px monospace;text-anchor:middle">'
        "<style>svg rect{fill:none;stroke:currentColor}svg text{fill:currentColor}"
        "svg path{stroke:currentColor;stroke-opacity:.25}</style>" + "".join(boxes) + "</svg>"
    )
