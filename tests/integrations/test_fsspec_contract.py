"""fsspec's own tests of a file system."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("fsspec", reason="fsspec is not installed")

from fsspec.tests import abstract

from asyncuring.integrations.fsspec import UringFileSystem


@pytest.fixture(scope="module")
def one_fs() -> Iterator[UringFileSystem]:
    """One for all: what a driver's start costs would be most of these tests' time."""
    fs = UringFileSystem(skip_instance_cache=True)
    fs.cat_file(__file__)  # the driver is there before the first test: it is no leak
    yield fs
    fs.close()


class Fixtures(abstract.AbstractFixtures):
    @pytest.fixture
    def fs(self, one_fs: UringFileSystem) -> UringFileSystem:
        return one_fs

    @pytest.fixture
    def fs_path(self, tmp_path: Path) -> str:
        return str(tmp_path)


class TestCopy(abstract.AbstractCopyTests, Fixtures):
    pass


class TestGet(abstract.AbstractGetTests, Fixtures):
    pass


class TestPut(abstract.AbstractPutTests, Fixtures):
    pass


class TestPipe(abstract.AbstractPipeTests, Fixtures):
    pass


class TestOpen(abstract.AbstractOpenTests, Fixtures):
    pass
