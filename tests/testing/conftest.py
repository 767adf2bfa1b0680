from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncuring.testing import SimulatedDisk
from tests.testing.disks import VIRTUAL_LOOPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.running import Run


@pytest.fixture
def disk() -> Iterator[SimulatedDisk]:
    """A simulated disk without a rule."""
    with SimulatedDisk(seed=1) as disk:
        yield disk


@pytest.fixture(params=list(VIRTUAL_LOOPS))
def run_virtually(request: pytest.FixtureRequest) -> Run:
    """Runs an async function in a new loop whose time is virtual."""
    if request.param == "trio":
        pytest.importorskip("trio")
    return VIRTUAL_LOOPS[request.param]
