"""`statistics()` for Prometheus: a collector for prometheus_client.

Install it with ``pip install 'asyncuring[prometheus]'``, and register the collector once::

    from asyncuring.prometheus import StatisticsCollector
    from prometheus_client import REGISTRY, start_http_server

    REGISTRY.register(StatisticsCollector())
    start_http_server(8000)

The metrics, each with the label ``driver``:

* of operations, with the labels ``operation`` and ``io_class``: ``asyncuring_operations_total``,
  ``asyncuring_operation_bytes_total``, ``asyncuring_operation_errors_total`` (by ``errno``), the
  gauges ``asyncuring_operations_in_flight`` and ``asyncuring_operations_waiting``, and the
  histograms ``asyncuring_operation_backlog_seconds``, ``…_kernel_seconds`` and ``…_loop_seconds``,
  with a classic bucket for each power of two from 1 us to 69 s;
* of reads that no driver had, with the label ``io_class``: ``asyncuring_inline_reads_total``;
* of drivers: ``asyncuring_submitted_total``, ``asyncuring_beside_total``,
  ``asyncuring_enters_total``, ``asyncuring_wakeups_total``, ``asyncuring_rings_total``,
  ``asyncuring_spins_total``, ``asyncuring_spin_time_seconds_total`` and the gauge
  ``asyncuring_loops``.

`Statistics` explains the numbers. A driver that stops, with its last file, takes its counters
along: the next one begins at 0, which ``rate()`` knows to handle.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import asyncuring

from ._metrics import COUNTERS, DURATIONS, GAUGES, cumulative, labels_of

try:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )
    from prometheus_client.registry import Collector
except ModuleNotFoundError as error:
    message = "prometheus_client is missing: pip install 'asyncuring[prometheus]'"
    raise ModuleNotFoundError(message, name=error.name) from error

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client.core import Metric as Family

    from ._metrics import Metric

__all__ = ["StatisticsCollector"]


class StatisticsCollector(Collector):
    """Collects `asyncuring.statistics()` at each scrape; between scrapes it costs nothing."""

    def collect(self) -> Iterator[Family]:
        """Read the statistics, once for all metrics."""
        drivers = asyncuring.statistics().drivers
        for metric in COUNTERS:
            yield from _filled(CounterMetricFamily, metric, drivers)
        for metric in GAUGES:
            yield from _filled(GaugeMetricFamily, metric, drivers)
        for attribute, description in DURATIONS.items():
            yield _durations(attribute, description, drivers)


def _filled(
    family: type[CounterMetricFamily | GaugeMetricFamily],
    metric: Metric,
    drivers: Sequence[asyncuring.DriverStatistics],
) -> Iterator[Family]:
    name = "asyncuring_" + metric.name.replace(".", "_") + ("_seconds" * (metric.unit == "s"))
    values = [value for driver in drivers for value in metric.read(driver)]
    if values:
        filled = family(name, metric.description, labels=[*values[0][0]])
        for labels, value in values:
            filled.add_metric([*labels.values()], value)
        yield filled


def _durations(
    attribute: str, description: str, drivers: Sequence[asyncuring.DriverStatistics]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(
        f"asyncuring_operation_{attribute}", description, labels=["driver", "operation", "io_class"]
    )
    for driver in drivers:
        for operation in driver.operations:
            histogram: asyncuring.Histogram = getattr(operation, attribute)
            buckets = [
                ("+Inf" if bound == math.inf else repr(bound), count)
                for bound, count in cumulative(histogram)
            ]
            labels = [*labels_of(driver, operation).values()]
            family.add_metric(labels, buckets, histogram.seconds)
    return family
