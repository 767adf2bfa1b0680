"""Statistics as text, to be read in a terminal: `print(asyncuring.statistics())`."""

from __future__ import annotations

import errno
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ._histogram import Histogram
    from ._statistics import DriverStatistics, OperationStatistics

__all__ = ["driver_text", "operations_text", "seconds_text"]

_THOUSAND = 1000
_KIBI = 1024

_HEADINGS = (
    *("operation", "class", "count", "bytes", "failed", "in flight", "waiting"),
    *("backlog 50 / 99 %", "kernel 50 / 99 %", "loop 50 / 99 %"),
)
_LEFT = 2  # columns of words; the others are of numbers


def driver_text(driver: DriverStatistics) -> str:
    """Describe one driver in some lines."""
    loops = f"{driver.loops} event loop{'' if driver.loops == 1 else 's'}"
    under_way = f"{driver.in_flight} in flight, {driver.backlog} in the backlog"
    lines = [
        f"{driver.driver} ({driver.reason}), {loops}, {under_way}",
        *(f"  {line}" for line in _counters(driver)),
    ]
    return "\n".join([*lines, *(f"  {line}" for line in operations_text(driver.operations))])


def _counters(driver: DriverStatistics) -> Iterator[str]:
    yield (
        f"{_number(driver.ops_submitted)} submitted"
        f" ({_number(driver.ops_beside)} of them beside the ring),"
        f" {_number(driver.inline_reads)} inline reads"
    )
    yield (
        f"{_number(driver.enters)} enters{_per_op(driver.enters_per_op)},"
        f" {_number(driver.wakeups)} wake-ups{_per_op(driver.wakeups_per_op)},"
        f" {_number(driver.rings)} rings,"
        f" {_number(driver.spins)} spins ({seconds_text(driver.spin_seconds)})"
    )


def operations_text(operations: Sequence[OperationStatistics]) -> list[str]:
    """Return a table: a line for each, with medians and 99th percentiles of the durations."""
    if not operations:
        return []
    rows = [_HEADINGS, *map(_row, operations)]
    widths = [max(map(len, column)) for column in zip(*rows)]  # noqa: B905  all as long
    return [_line(row, widths) for row in rows]


def _row(operation: OperationStatistics) -> tuple[str, ...]:
    return (
        operation.opcode,
        operation.io_class,
        _number(operation.count),
        _bytes(operation.bytes),
        _errors(operation.errors),
        _number(operation.in_flight),
        _number(operation.backlog),
        _durations(operation.backlog_seconds),
        _durations(operation.kernel_seconds),
        _durations(operation.loop_seconds),
    )


def _line(row: Iterable[str], widths: Iterable[int]) -> str:
    cells = [
        text.ljust(width) if column < _LEFT else text.rjust(width)
        for column, (text, width) in enumerate(zip(row, widths))  # noqa: B905  as above
    ]
    return "  ".join(cells).rstrip()


def _per_op(ratio: float) -> str:
    return "" if math.isnan(ratio) else f" ({ratio:.2f} per operation)"


def _errors(errors: Mapping[int, int]) -> str:
    """{5: 2, 125: 1} → "EIO 2, ECANCELED 1"."""
    named = (f"{errno.errorcode.get(number, '?')} {count}" for number, count in errors.items())
    return ", ".join(named) or "0"


def _durations(histogram: Histogram) -> str:
    return " / ".join(seconds_text(histogram.quantile(q)) for q in (0.5, 0.99))


def seconds_text(seconds: float) -> str:
    """0.00123 → "1.2 ms"."""
    if math.isnan(seconds):
        return "-"
    for unit, factor in (("ns", 1e9), ("us", 1e6), ("ms", 1e3)):
        if seconds * factor < _THOUSAND - 0.5:
            return f"{_digits(seconds * factor)} {unit}"
    return f"{_digits(seconds)} s"


def _bytes(count: int) -> str:
    """8192 → "8.0 KiB"."""
    return _scaled(count, _KIBI, ("B", "KiB", "MiB", "GiB", "TiB"))


def _number(count: int) -> str:
    """1234567 → "1.2 M"."""
    return _scaled(count, _THOUSAND, ("", "k", "M", "G", "T"))


def _scaled(count: int, step: int, units: tuple[str, ...]) -> str:
    power = 0
    while count >= step ** (power + 1) and power < len(units) - 1:
        power += 1
    text = str(count) if power == 0 else _digits(count / step**power)
    return f"{text} {units[power]}".rstrip()


def _digits(value: float) -> str:
    ten = 10
    return f"{value:.1f}" if 0 < value < ten - 0.05 else f"{value:.0f}"
