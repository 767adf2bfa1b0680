"""The manual's reference has everything that is public."""

from __future__ import annotations

import re
from pathlib import Path

import asyncuring

REFERENCE = Path(__file__).parent.parent / "docs" / "reference.rst"


def test_each_public_name_stands_in_it_once() -> None:
    own = REFERENCE.read_text().split(".. automodule:: asyncuring.", maxsplit=1)[0]
    named = re.findall(r"^\.\. (?:auto\w+|py:data):: (\w+)$", own, re.MULTILINE)
    named.remove("asyncuring")  # the module
    assert sorted(named) == sorted(asyncuring.__all__)
