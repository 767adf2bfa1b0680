"""The page store and the server of the examples, killed many times in the middle of their work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.killing import kill_kv_server, kill_page_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from asyncuring._runtime import DriverName

ROUNDS = 15


@pytest.mark.timeout(300)
def test_a_page_store_that_is_killed_has_what_it_promised(
    driver: DriverName, tmp_path: Path, note_attack: Callable[..., None]
) -> None:
    promised = kill_page_store(tmp_path / "store", driver, ROUNDS, seed=2)
    note_attack(
        "soak",
        "kill -9 of docs/examples/page_store.py under 8 tasks",
        driver,
        f"{ROUNDS} kills",
        f"{promised} transactions promised, none lost, none torn",
    )


@pytest.mark.timeout(300)
def test_a_server_that_is_killed_has_what_it_promised(
    driver: DriverName, tmp_path: Path, note_attack: Callable[..., None]
) -> None:
    promised = kill_kv_server(tmp_path / "log", ROUNDS, 2, "--driver", driver)
    note_attack(
        "soak",
        "kill -9 of docs/examples/kv_server.py under 8 clients",
        driver,
        f"{ROUNDS} kills",
        f"{promised} replies received, none of their changes lost, none torn",
    )
