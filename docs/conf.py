"""Sphinx: four pages, and the public names from their docstrings."""

from __future__ import annotations

import csv
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING

from asyncuring.benchmark.options import GROUPS

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "asyncuring"
author = "The asyncuring authors"
project_copyright = "2026, The asyncuring authors"
version = release = installed_version("asyncuring")

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
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
    """Write the table of the benchmark's options, which stand in the code alone."""
    app.connect("builder-inited", _write_options)


def _write_options(app: Sphinx) -> None:
    folder = Path(app.srcdir, "_build")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "benchmark-options.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["", "option", "value", "meaning"])
        for group, options in GROUPS.items():
            rows.writerows(
                [group, f"``--{option.name}``", option.metavar or "", option.text]
                for option in options
            )
