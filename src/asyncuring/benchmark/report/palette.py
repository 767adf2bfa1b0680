"""How an engine looks: the same colour, marker and dashes in each plot of each report."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from asyncuring.benchmark.engines import ENGINES
from asyncuring.benchmark.report.totals import CEILINGS

if TYPE_CHECKING:
    from collections.abc import Iterable

    Dashes = tuple[float, ...]


class Ink(NamedTuple):
    """One colour, on white and on black. Each contrasts 4.5 to 1 or more with what is below it."""

    name: str
    light: str
    dark: str


TEXT = Ink("text", "#1f2328", "#e6e9ee")
MUTED = Ink("muted", "#59636e", "#a0a9b4")
LINES = Ink("lines", "#d5dbe1", "#3a4048")
PAPER = Ink("paper", "#ffffff", "#14171b")

CEILING = Ink("ceiling", "#6a7078", "#9da5ae")

# Told apart with red-green and with blue-yellow blindness by lightness, and by marker in any case.
HUES = (
    Ink("blue", "#0b57d0", "#77a9ff"),
    Ink("orange", "#b84300", "#ff9b57"),
    Ink("teal", "#00736b", "#45d2c0"),
    Ink("pink", "#b8177f", "#ff8ed0"),
    Ink("ochre", "#856200", "#e3bd3c"),
    Ink("violet", "#6b2fb3", "#bf9bff"),
    Ink("green", "#2c7a1f", "#80d66a"),
    Ink("red", "#a3162a", "#ff8a8f"),
)

INKS = (TEXT, MUTED, LINES, PAPER, CEILING, *HUES)

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "h")
"""As many as make no pair of colour and marker return before each was there."""

SOLID: Dashes = ()
DASHED: Dashes = (4, 2)


class Style(NamedTuple):
    """What one engine is drawn with."""

    ink: Ink
    marker: str
    dashes: Dashes


def styles(engines: Iterable[str]) -> dict[str, Style]:
    """Return the style of each engine.

    Those that a sweep has by default come first, so that no two of them share a colour; those that
    this version does not know come last.
    """
    doing_io = [name for name in ENGINES if name not in CEILINGS]
    known = sorted(doing_io, key=lambda name: not ENGINES[name].by_default)
    unknown = sorted(set(engines) - set(ENGINES) - set(CEILINGS))
    found = {
        name: Style(HUES[n % len(HUES)], MARKERS[n % len(MARKERS)], SOLID)
        for n, name in enumerate([*known, *unknown])
    }
    marks = dict(zip(CEILINGS, ("|", "x"), strict=True))
    return found | {name: Style(CEILING, mark, DASHED) for name, mark in marks.items()}
