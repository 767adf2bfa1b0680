"""zarr's own tests of a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.running import run_asyncio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncuring._runtime import DriverName

pytest.importorskip("zarr", reason="zarr is not installed; it needs CPython 3.11")

from zarr.core.buffer import Buffer, cpu
from zarr.testing.store import StoreTests

from asyncuring.integrations.zarr import UringStore


class TestUringStore(StoreTests[UringStore, cpu.Buffer]):
    store_cls = UringStore
    buffer_cls = cpu.Buffer

    @pytest.fixture
    def store_kwargs(self, tmp_path: Path, uring: DriverName) -> dict[str, Any]:
        return {"path": tmp_path, "driver": uring}

    @pytest.fixture
    def store(self, open_kwargs: dict[str, Any]) -> Iterator[UringStore]:
        with run_asyncio(lambda: UringStore.open(**open_kwargs)) as store:
            yield store

    @pytest.fixture
    def store_not_open(self, store_kwargs: dict[str, Any]) -> Iterator[UringStore]:
        with UringStore(**store_kwargs) as store:
            yield store

    async def set(self, store: UringStore, key: str, value: Buffer) -> None:
        path = Path(store.path, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(value.to_bytes())

    async def get(self, store: UringStore, key: str) -> cpu.Buffer:
        return cpu.Buffer.from_bytes(Path(store.path, key).read_bytes())

    def test_store_repr(self, store: UringStore) -> None:
        assert repr(store) == f"UringStore('uring://{store.path}')"

    def test_store_supports_writes(self, store: UringStore) -> None:
        assert store.supports_writes

    def test_store_supports_listing(self, store: UringStore) -> None:
        assert store.supports_listing
