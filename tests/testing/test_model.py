"""The model of a simulated disk agrees with the system whatever is done, and keeps promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, run_state_machine_as_test

from asyncuring.testing import SimulatedDisk
from asyncuring.testing._sectors import SimulatedFile
from tests.running import LOOPS
from tests.stateful.machine import AnyOrder
from tests.stateful.trees import look

if TYPE_CHECKING:
    from pathlib import Path

SECTOR, SECTORS = 4, 4
SIZE = SECTOR * SECTORS


class AnyOrderWithModel(AnyOrder):
    """After each step a power cut that loses nothing would leave what programs see."""

    disk: ClassVar[SimulatedDisk]

    @invariant()
    def the_model_has_what_programs_see(self) -> None:
        ours = f"{self.root.relative_to(self.disk.path)}/ours/"
        entries = self.disk._volume.names.crashed(lambda _: True)
        found = {
            name.removeprefix(ours): entry.content and entry.content.read(0, entry.content.size)
            for name, entry in entries.items()
            if name.startswith(ours)
        }
        seen = look(self.root / "ours")
        # What was never reached through the disk is not known to it: here, nothing.
        assert found == seen


def test_the_model_agrees_with_the_system(tmp_path: Path) -> None:
    disk = SimulatedDisk(path=tmp_path)
    attributes: dict[str, Any] = {
        "run_loop": staticmethod(LOOPS["asyncio"]),
        "driver": disk,
        "folder": tmp_path,
        "disk": disk,
    }
    machine = type("Machine", (AnyOrderWithModel,), attributes)
    run_state_machine_as_test(
        hypothesis.seed(6)(machine),
        settings=settings(
            max_examples=8,
            stateful_step_count=50,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


places = st.tuples(st.integers(0, SIZE - 1), st.integers(1, SIZE))
steps = st.lists(st.one_of(places, st.just("sync"), st.just("durable"), st.just("fail")))


@settings(derandomize=True, deadline=None)
@given(steps, st.randoms(use_true_random=False))
def test_each_sector_is_as_it_was_at_some_moment_since_the_last_sync(
    steps: list[Any], random: Any
) -> None:
    """Written content tells when it was written: the number of the step."""
    file = SimulatedFile(SECTOR, 0o644)
    file.hold(SIZE, [])
    # By sector, what it has held since it was last made durable; the first of these is.
    history = [[bytes(SECTOR)] for _ in range(SECTORS)]
    durably = False
    for number, step in enumerate(steps, start=1):
        if step == "sync":
            file.sync(number)
            history = [_durable_and_later(file, sector, []) for sector in range(SECTORS)]
        elif step == "fail":
            file.forget_writes(number)
            history = [_durable_and_later(file, sector, []) for sector in range(SECTORS)]
        elif step == "durable":
            durably = True
        else:
            offset, length = step
            data = bytes([number % 256]) * min(length, SIZE - offset)
            write = file.write(number, offset, data)
            if durably:
                file.sync_write(write)
            for sector in write.images:
                seen = file.now.read(sector * SECTOR, SECTOR)
                later = [] if durably else [*history[sector][1:], seen]
                history[sector] = _durable_and_later(file, sector, later)
            durably = False
    for _ in range(5):
        left = file.crashed(lambda change: _some_of(change, random))
        for sector in range(SECTORS):
            assert left.read(sector * SECTOR, SECTOR) in history[sector]


def _durable_and_later(file: SimulatedFile, sector: int, later: list[bytes]) -> list[bytes]:
    return [file.durable.read(sector * SECTOR, SECTOR), *later]


def _some_of(change: Any, random: Any) -> Any:
    return [sector for sector in getattr(change, "images", ()) if random.random() < 1 / 2]
