"""What an engine needs that this package does not bring, and the command that installs it."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from dataclasses import dataclass

CPYTHON_MIN = (3, 10)
"""What this package itself runs on."""


@dataclass(frozen=True)
class Package:
    """A Python package, from PyPI."""

    requirement: str
    """What pip is told."""
    module: str
    """What is imported."""
    python: tuple[int, int] = CPYTHON_MIN
    """The oldest CPython that it runs on."""

    @property
    def marked(self) -> str:
        """What pip is told where every CPython is to be served, as in the extra ``peers``."""
        if self.python == CPYTHON_MIN:
            return self.requirement
        return f"{self.requirement}; python_version >= '{_version(self.python)}'"

    def missing(self) -> str | None:
        """Return what is missing, with the remedy; None if it is there."""
        if sys.version_info < self.python:
            return (
                f"{self.module} needs CPython {_version(self.python)};"
                f" this is {_version(sys.version_info[:2])}"
            )
        if importlib.util.find_spec(self.module) is None:
            return (
                f"{self.module} is not installed; install it with: pip install '{self.requirement}'"
            )
        return None


@dataclass(frozen=True)
class Program:
    """A program, to be found on PATH."""

    name: str
    install: str
    """The command for that."""

    def missing(self) -> str | None:
        """Return what is missing, with the remedy; None if it is there."""
        if shutil.which(self.name) is None:
            return f"{self.name} is not installed; install it with: {self.install}"
        return None


def _version(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
