from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from matplotlib.figure import Figure

from asyncuring.benchmark import dataset
from asyncuring.benchmark.trial import Trial
from tests.benchmark.small import BLOCK_SIZE, BLOCKS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session", autouse=True)
def open_fonts() -> None:
    """The first plot of a process opens fonts and keeps them: they are no leak of any test's."""
    figure = Figure()
    for weight in ("normal", "bold"):
        figure.text(0, 0, "text", weight=weight)
    figure.savefig(BytesIO(), format="png")


@pytest.fixture(autouse=True)
def programs_that_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Coverage leaves the benchmark out; its trials are many short processes."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the files that sweeps read; filled by the first, used again by the others."""
    return tmp_path_factory.mktemp("files")


@pytest.fixture
def blocks(tmp_path: Path) -> Path:
    """A small file of its own, to be spoilt at will."""
    path = tmp_path / "blocks"
    dataset.fill_file(path, BLOCKS * BLOCK_SIZE, BLOCK_SIZE, lambda _: None)
    return path


@pytest.fixture
def trial(blocks: Path) -> Trial:
    """A trial of fixed work, done in a moment."""
    return Trial(
        engine="thread-pool",
        loop="asyncio",
        clients=2,
        path=str(blocks),
        block_size=BLOCK_SIZE,
        file_size=BLOCKS * BLOCK_SIZE,
        direct=False,
        duration_s=None,
        ops_per_client=20,
        verify=False,
        seed=1,
        repeat=0,
    )
