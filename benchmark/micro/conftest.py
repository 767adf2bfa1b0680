"""What the microbenchmarks measure with, and the file that they read."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from asyncuring.benchmark.loops import LOOPS
from benchmark.micro.ruler import BLOCK_SIZE, CachedFile, Ruler

BLOCKS = 1024


@pytest.fixture
def ruler(benchmark: Any) -> Ruler:
    """A ruler for the part that the function measures."""
    return Ruler(benchmark)


@pytest.fixture(params=list(LOOPS))
def loop(request: pytest.FixtureRequest) -> str:
    """An event loop, by name."""
    name = str(request.param)
    pytest.importorskip(name)
    return name


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> CachedFile:
    """8 MiB, all of it in the page cache."""
    path = tmp_path_factory.mktemp("micro") / "file"
    path.write_bytes(os.urandom(BLOCKS * BLOCK_SIZE))
    offsets = random.Random(0).sample(range(0, BLOCKS * BLOCK_SIZE, BLOCK_SIZE), BLOCKS)
    return CachedFile(path, offsets)
