"""The soak, and processes that are killed, for some seconds with each driver (see `make soak`)."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.soak.kill import kill_again_and_again
from tests.soak.recorded import kill_attack, soak_attack
from tests.soak.segments import Soak
from tests.soak.table import bars_of, growth, table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from asyncuring._runtime import DriverName

CLIENTS = 1200
# Each driver with another one: `make soak` has them all take turns.
LOOPS: dict[str, str] = {"uring": "trio", "uring-local": "asyncio", "threads": "uvloop"}
SOAK_SECONDS, KILL_SECONDS = 3, 2
PROGRAM_SECONDS_MAX = 30


def test_every_read_of_many_clients_is_what_was_acknowledged(
    driver: DriverName, note_attack: Callable[..., None]
) -> None:
    soak = Soak(CLIENTS, 0)
    soak.run(SOAK_SECONDS, [driver], [LOOPS[driver]])
    tally = soak.tally
    # Memory needs the long run: in this one the warming up has not seen the most of it.
    bars = [bar for bar in growth(soak.warm, soak.end) if bar.name != "resident memory"]
    bars = [*bars_of(tally), *bars]
    assert [bar for bar in bars if not bar.is_met] == [], table(tally, bars, {})
    assert all(tally.ends[end] for end in ("cancelled", "timed out"))
    assert sum(tally.ops.values()) > CLIENTS
    attack = soak_attack(CLIENTS, [driver], [LOOPS[driver]], SOAK_SECONDS, tally, bars)
    note_attack(*attack)


def test_what_was_acknowledged_durable_outlives_kill_9(
    driver: DriverName, note_attack: Callable[..., None]
) -> None:
    tally, counts = kill_again_and_again(KILL_SECONDS, [driver], [LOOPS[driver]], 0)
    bars = bars_of(tally)
    assert all(bar.is_met for bar in bars), table(tally, bars, counts)
    assert any(count for name, count in counts.items() if name.startswith("acknowledged"))
    attack = kill_attack([driver], [LOOPS[driver]], KILL_SECONDS, tally, bars, counts)
    note_attack(*attack)


def run_program(source: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"import sys\nfrom tests.soak import __main__ as soak\n{source}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PROGRAM_SECONDS_MAX,
        env={**os.environ, "TMPDIR": str(directory)},  # what ends itself leaves its files
    )


def test_a_soak_that_hangs_ends_itself_and_shows_its_stacks(tmp_path: Path) -> None:
    done = run_program("soak.GRACE_SECONDS = 0.2\nsoak.main(['--duration', '0'])", tmp_path)
    assert done.returncode == 1
    assert "Timeout" in done.stderr
    assert "most recent call first" in done.stderr


@pytest.mark.parametrize("arguments", [["--kill"], ["--driver", "threads", "--loop", "trio"]])
def test_a_bar_that_is_missed_is_the_exit_status(arguments: list[str], tmp_path: Path) -> None:
    done = run_program(
        "from tests.soak.tally import Tally\n"
        "Tally.judged = lambda tally, *_: tally.missed('mismatches', 'as the test says')\n"
        f"sys.exit(soak.main(['--duration', '0.5', *{arguments}]))",
        tmp_path,
    )
    assert done.returncode == 1
    assert done.stderr == ""
    assert "MISSED" in done.stdout
    assert "as the test says" in done.stdout
