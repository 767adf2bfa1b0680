"""A plot's SVG as a part of a page: no address of anything, and colours that follow the page's."""

from __future__ import annotations

import re

from asyncuring.benchmark.report.palette import INKS

SIZE = re.compile(r'width="[^"]*pt" height="[^"]*pt" ')
NAMESPACES = re.compile(r' xmlns(:xlink)?="[^"]*"')
NUMBERED_NAMES = re.compile(r' id="[A-Za-z0-9.]+_\d+"')
"""matplotlib counts its groups from 1 in each plot; nothing refers to them."""
FONT = re.compile(r" font-family: [^;\"]+;")


def inlined(svg: str, name: str) -> str:
    """Return the SVG for HTML; ``name`` says what it shows to those who do not see it."""
    body = svg[svg.index("<svg") :]
    body = SIZE.sub(f'role="img" aria-label="{name}" ', body, count=1)
    for pattern in (NAMESPACES, NUMBERED_NAMES, FONT):
        body = pattern.sub("", body)
    for ink in INKS:
        body = body.replace(ink.light, f"var(--{ink.name})")
    return body


def variables(*, dark: bool) -> str:
    """Return the colours as variables of CSS."""
    return " ".join(f"--{ink.name}: {ink.dark if dark else ink.light};" for ink in INKS)
