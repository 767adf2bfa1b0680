"""Sphinx: the manual, and the public names from their docstrings."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))
from generated import write_all

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "asyncuring"
author = "The asyncuring authors"
project_copyright = "2026, The asyncuring authors"
version = release = installed_version("asyncuring")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
nitpicky = True
# Classes of the standard library; no inventory is fetched, so that the docs build offline.
nitpick_ignore_regex = [
    ("py:.*", r"(?!asyncuring).*"),
    # What open files inherit stands with UringFile.
    ("py:class", r"asyncuring\._file_calls\.FileCalls"),
]
default_role = "code"

autodoc_member_order = "bysource"
napoleon_use_ivar = True  # the members themselves are listed by autodoc
autodoc_typehints = "signature"

html_theme = "furo"
html_title = f"asyncuring {release}"


def setup(app: Sphinx) -> None:
    """Write what the pages take from the code."""
    app.connect("builder-inited", lambda _: write_all())
