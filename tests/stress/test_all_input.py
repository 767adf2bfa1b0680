"""Each parameter of all that is public gets each of the wild values, and many get some at once."""

from __future__ import annotations

from itertools import islice
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.input.surface import targets
from tests.input.sweep import attempt_all, bounds
from tests.input.values import WILD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asyncuring._runtime import DriverName
    from tests.input.sweep import Case

# Of one thing at a time: every so manieth, or all. Of several at once: so many.
STEP, STEP_RECORDED = 40, 1
MIXED, MIXED_RECORDED = 400, 10_000


def one_at_a_time() -> Iterator[Case]:
    for target in targets():
        for closed in (False, True):
            yield target, {}, closed
            for parameter in target.parameters:
                for make in WILD:
                    yield target, {parameter.name: make}, closed


def several_at_once(seed: int) -> Iterator[Case]:
    random = Random(seed)
    many = [target for target in targets() if target.parameters]
    while True:
        target = random.choice(many)
        names = [parameter.name for parameter in target.parameters]
        chosen = random.sample(names, random.randint(1, len(names)))
        yield target, {name: random.choice(WILD) for name in chosen}, random.random() < 0.2


@pytest.mark.timeout(400)  # where attacks are recorded it is all there is
def test_only_what_is_documented_comes_out(
    driver: DriverName,
    monkeypatch: pytest.MonkeyPatch,
    recording: bool,
    note_attack: Callable[..., None],
) -> None:
    step, mixed = (STEP_RECORDED, MIXED_RECORDED) if recording else (STEP, MIXED)
    with bounds(monkeypatch) as folder:
        alone = attempt_all(islice(one_at_a_time(), None, None, step), driver, folder)
        together = attempt_all(islice(several_at_once(6), mixed), driver, folder)
    parameters = sum(len(target.parameters) for target in targets())
    note_attack(
        "input",
        "wild arguments to everything public",
        driver,
        f"{alone + together} calls: {len(targets())} callables, {parameters} parameters, "
        f"{len(WILD)} values, one or several at a time",
        "0 undocumented exceptions, 0 hangs, 0 pins or descriptors left",
    )
