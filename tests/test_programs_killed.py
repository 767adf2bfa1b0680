"""The page store and the server, killed in the middle of their work; longer in tests/stress."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.killing import kill_kv_server, kill_page_store

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName


def test_a_page_store_that_is_killed_has_what_it_promised(
    driver: DriverName, tmp_path: Path
) -> None:
    assert kill_page_store(tmp_path / "store", driver, rounds=3, seed=1) > 3


def test_a_server_that_is_killed_has_what_it_promised(tmp_path: Path) -> None:
    assert kill_kv_server(tmp_path / "log", rounds=3, seed=1) > 60
