"""What the exporters tell of `statistics()`: names, units, labels, and where each number is read.

`prometheus.py` and `opentelemetry.py` differ in their libraries alone.
"""

from __future__ import annotations

import errno
import math
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from asyncuring import DriverStatistics, Histogram, OperationStatistics

__all__ = ["COUNTERS", "DURATIONS", "GAUGES", "Labels", "Metric", "cumulative", "labels_of"]

Labels = dict[str, str]


class Metric(NamedTuple):
    """One metric of a driver.

    Attributes:
        name: words with dots between them.
        unit: "By", "s" or "1", as in UCUM.
        description: what it counts, in a sentence.
        read: gives its values with their labels.
    """

    name: str
    unit: str
    description: str
    read: Callable[[DriverStatistics], Iterable[tuple[Labels, float]]]


def labels_of(driver: DriverStatistics, operation: OperationStatistics) -> Labels:
    """Return what tells an operation's numbers from those of others."""
    return {
        "driver": driver.driver,
        "operation": operation.opcode,
        "io_class": operation.io_class,
    }


def _of_driver(name: str, unit: str, description: str, attribute: str) -> Metric:
    def read(driver: DriverStatistics) -> Iterator[tuple[Labels, float]]:
        yield {"driver": driver.driver}, getattr(driver, attribute)

    return Metric(name, unit, description, read)


def _of_operations(name: str, unit: str, description: str, attribute: str) -> Metric:
    def read(driver: DriverStatistics) -> Iterator[tuple[Labels, float]]:
        for operation in driver.operations:
            yield labels_of(driver, operation), getattr(operation, attribute)

    return Metric(name, unit, description, read)


def _errors(driver: DriverStatistics) -> Iterator[tuple[Labels, float]]:
    for operation in driver.operations:
        for number, count in operation.errors.items():
            name = errno.errorcode.get(number, str(number))
            yield {**labels_of(driver, operation), "errno": name}, count


def _inline_reads(driver: DriverStatistics) -> Iterator[tuple[Labels, float]]:
    for io_class, count in driver.inline_reads_by_class.items():
        yield {"driver": driver.driver, "io_class": io_class}, count


COUNTERS = (
    _of_operations("operations", "1", "Operations done, those that failed included.", "count"),
    _of_operations("operation.bytes", "By", "Bytes transferred by operations.", "bytes"),
    Metric("operation.errors", "1", "Operations that failed, by errno.", _errors),
    _of_driver("submitted", "1", "Operations handed to the driver.", "ops_submitted"),
    Metric("inline.reads", "1", "Reads done in the calling thread.", _inline_reads),
    _of_driver("beside", "1", "Operations of native threads beside the ring.", "ops_beside"),
    _of_driver("enters", "1", "Calls of io_uring_enter(2).", "enters"),
    _of_driver("wakeups", "1", "Times a thread of the driver was woken.", "wakeups"),
    _of_driver("rings", "1", "Times the driver rang for an event loop.", "rings"),
    _of_driver("spins", "1", "Times a thread looked for work instead of sleeping.", "spins"),
    _of_driver("spin.time", "s", "Time spent looking for work.", "spin_seconds"),
)
GAUGES = (
    _of_operations("operations.in_flight", "1", "Operations that the driver has.", "in_flight"),
    _of_operations("operations.waiting", "1", "Operations in the backlog.", "backlog"),
    _of_driver("loops", "1", "Event loops that use the driver.", "loops"),
)

# By the attribute of `OperationStatistics` that has the histogram.
DURATIONS = {
    "backlog_seconds": "Time from the call until the driver had the operation.",
    "kernel_seconds": "Time from there until the operation was done.",
    "loop_seconds": "Time from there until the event loop took notice.",
}

# Every power of two from a microsecond to a minute: a sixteenth of what a histogram has, for each
# bound is a time series to whoever stores them.
_SHORTEST, _LONGEST = 1e-6, 70.0


def cumulative(histogram: Histogram) -> list[tuple[float, int]]:
    """Return some bounds in seconds, and for each how many durations are below; inf is the last."""
    return [
        (bound, count)
        for bound, count in zip(histogram.bounds, accumulate(histogram.counts), strict=True)
        if bound == math.inf
        or (_SHORTEST < bound < _LONGEST and math.log2(round(bound * 1e9)).is_integer())
    ]
