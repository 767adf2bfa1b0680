"""Which of the tests for each driver run with the simulated one, and why others do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

# It tells event loops apart by nothing but their interface, which these two have.
LOOPS_OF_SIMULATED = ("asyncio", "trio")

# `run_script` skips those that it starts.
A_PROGRAM = "starts a program, to which a simulated disk cannot be named"
_IN_THE_LOOP = "wants an op done while the loop stands still: a simulated disk is in that thread"
_INLINE = "wants reads that bypass the driver: a simulated disk sees them all"
_LEASE = "wants an open to wait for the end of a lease: a simulated disk answers EWOULDBLOCK"
_ATTACK = "attacks the kernel, its file systems and the drivers that rely on them"
_THREADS = "is about rings and threads: a simulated disk has neither"
_TORN = "interrupts an exchange: that of a simulated disk is Python, and may be torn apart"

# By file, or file::test.
_NOT_SIMULATED = {
    "test_cancellation::test_a_cancelled_open_leaves_no_descriptor": _LEASE,
    "test_cancellation::test_an_op_that_finished_although_cancelled": _IN_THE_LOOP,
    "test_chain_under_way::test_a_chain_that_finished_although_cancelled": _IN_THE_LOOP,
    "test_invariants::test_invariant_01_the_ring_thread_never_takes_the_gil": _IN_THE_LOOP,
    "test_invariants::test_invariant_07_one_wakeup_carries_many_completions_and_one_reap_is_bounded": (  # noqa: E501
        _IN_THE_LOOP
    ),
    "test_cached_reads::test_a_lone_client_reads_what_is_cached_without_the_driver": _INLINE,
    "test_cached_reads::test_reads_without_the_driver_are_counted_by_class": _INLINE,
    "test_exporters": _INLINE,
    "test_io_class_limits::test_reads_of_a_class_with_a_rate_never_take_place_inline": _INLINE,
    "test_threads_beside::test_a_read_of_a_cached_page_keeps_the_gil": _INLINE,
    "test_interrupted::test_in_the_middle_of_a_tick": _TORN,
    "test_programs_killed": A_PROGRAM,
    "test_calls_beside": _THREADS,
    "test_runtime::test_a_driver_lives_from_the_first_file_to_the_last": _THREADS,
    "test_runtime::test_statistics_count_what_was_done": _THREADS,
    "test_spinning": _THREADS,
}


def why_not_simulated(item: pytest.Item) -> str:
    """Why a test cannot be done with a simulated disk; empty if it can."""
    path, test = item.nodeid.split("::", maxsplit=1)
    if "/stress/" in path and "test_new_orders" not in path:
        return _ATTACK
    module = path.rpartition("/")[2].removesuffix(".py")
    name = test.split("[", maxsplit=1)[0]
    return _NOT_SIMULATED.get(module) or _NOT_SIMULATED.get(f"{module}::{name}", "")
