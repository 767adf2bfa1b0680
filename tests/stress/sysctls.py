"""Settings of the whole system, for a test that changes one and puts it back."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["put_back"]


@contextmanager
def put_back(sysctl: Path, what: str) -> Iterator[None]:
    """Let the block change `sysctl`, in order to `what`; skip where nobody may."""
    if not os.access(sysctl, os.W_OK):
        pytest.skip(f"only root can {what}, and not in every container")
    if not os.environ.get("CI"):
        pytest.skip("it would hold for everybody on this machine; set CI=true if it is yours alone")
    before = sysctl.read_text()
    try:
        yield
    finally:
        sysctl.write_text(before)
