"""Whatever is passed to whatever is public: only what is documented comes of it.

tests/stress has the long form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis
import pytest
from hypothesis import strategies as st

import asyncuring
from tests.input.surface import documented_errors, targets
from tests.input.sweep import attempt_all, bounds
from tests.input.values import WILD

if TYPE_CHECKING:
    from asyncuring._runtime import DriverName
    from tests.input.sweep import Case

EXAMPLES = 6

# Each example is some calls, for an event loop costs as much as many of them.
CALLS = 20


@st.composite
def cases(draw: st.DrawFn) -> Case:
    target = draw(st.sampled_from(targets()))
    names = [parameter.name for parameter in target.parameters]
    chosen = draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    return target, {name: draw(st.sampled_from(WILD)) for name in chosen}, draw(st.booleans())


def test_only_what_is_documented_comes_out(
    driver: DriverName, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bounds(monkeypatch) as folder:

        @hypothesis.settings(max_examples=EXAMPLES, database=None, deadline=None, derandomize=True)
        @hypothesis.given(st.lists(cases(), min_size=CALLS, max_size=CALLS))
        def some(calls: list[Case]) -> None:
            attempt_all(calls, driver, folder)

        some()


def test_every_public_name_with_arguments_is_called() -> None:
    """The list is made from `__all__`; what is in it by some accident only is not called."""
    called = {target.name for target in targets()}
    functions = {name for name in asyncuring.__all__ if name[0].islower()}
    assert functions <= called
    assert {"UringFile.read_at", "Chain.writev_all_at", "GroupCommit.append"} <= called
    assert {"BufferPool", "IoClass", "GroupCommit", "BufferPool.give_back"} <= called
    assert not {"UringFile.opened", "IoClass.admit", "BufferPool.forget_loops"} & called


def test_what_is_documented_is_found() -> None:
    """Among it what a docstring refers to."""
    assert documented_errors(asyncuring.log_slow_ops.__doc__ or "", asyncuring) == {
        ValueError,
        TypeError,
    }
    errors = documented_errors(asyncuring.rmdir.__doc__ or "", asyncuring)
    assert {asyncuring.DriverUnavailableError, RuntimeError, OSError} <= errors
    with pytest.raises(AssertionError, match="Misspelt is documented"):
        documented_errors("Text.\n\nRaises:\n    Misspelt: always.\n", asyncuring)
