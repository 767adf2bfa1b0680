"""The pytest plugin of `asyncuring.testing`: fixtures, found by pytest's entry point `pytest11`.

A package of its own: pytest imports its plugins at its start, and whoever tests something else,
or measures the coverage of asyncuring, shall not have it imported then.
"""

from __future__ import annotations

import zlib
from functools import partial
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from asyncuring.testing import SimulatedDisk

__all__ = ["crash_test", "simulated_disk"]

_DISK = pytest.StashKey["SimulatedDisk"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("asyncuring", "simulated disks")
    group.addoption(
        "--disk-seed",
        type=int,
        metavar="SEED",
        help="seed of simulated_disk, and the only one of crash_test (else from the test's name)",
    )
    group.addoption(
        "--crash-seeds",
        type=int,
        default=3,
        metavar="N",
        help="with how many seeds crash_test cuts the power (3)",
    )


@pytest.fixture
def simulated_disk(request: pytest.FixtureRequest) -> Iterator[SimulatedDisk]:
    """A `SimulatedDisk` for this test alone, closed behind it.

    Its seed is drawn from the test's name, so that it is the same each time, or is that of
    ``--disk-seed``. If the test fails, its report shows the seed and the trace.
    """
    from asyncuring.testing import SimulatedDisk  # noqa: PLC0415  not before it is wanted

    seed = request.config.getoption("--disk-seed")
    if seed is None:
        seed = zlib.crc32(request.node.name.encode())
    with SimulatedDisk(seed) as disk:
        request.node.stash[_DISK] = disk
        yield disk


@pytest.fixture
def crash_test(request: pytest.FixtureRequest) -> Callable[..., int]:
    """`asyncuring.testing.crash_test`, with the seeds that the command line wants.

    These are the first ones of ``--crash-seeds``, or the one of ``--disk-seed``. What the test
    passes as ``seeds`` is taken instead.
    """
    from asyncuring.testing import crash_test  # noqa: PLC0415  not before it is wanted

    seed = request.config.getoption("--disk-seed")
    seeds = range(request.config.getoption("--crash-seeds")) if seed is None else [seed]
    return partial(crash_test, seeds=seeds)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the disk's seed and trace to the report of a test that failed."""
    report = yield
    disk = item.stash.get(_DISK, None)
    if disk is not None and report.when == "call" and report.failed:
        report.sections.append((f"simulated disk (--disk-seed={disk.seed})", str(disk.trace)))
    return report
