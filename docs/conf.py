"""Sphinx: four pages, and the public names from their docstrings."""

from importlib.metadata import version as installed_version

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
