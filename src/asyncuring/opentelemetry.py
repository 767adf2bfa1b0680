"""`statistics()` for OpenTelemetry: observable instruments of the metrics API.

Install it with ``pip install 'asyncuring[opentelemetry]'``, and call `instrument` once, when the
program has set its meter provider::

    from asyncuring.opentelemetry import instrument

    instrument()

The instruments are those of `asyncuring.prometheus` (see there), named with dots:
``asyncuring.operations``, ``asyncuring.operation.bytes``, …. OpenTelemetry has no histograms that
are observed, so of each kind of duration there are two counters: ``asyncuring.operation.kernel``
(and ``….backlog``, ``….loop``) is the sum in seconds, to be divided by ``asyncuring.operations``;
``asyncuring.operation.kernel.bucket`` the operations below the bound that the attribute ``le``
names, in seconds.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import asyncuring

from ._metrics import COUNTERS, DURATIONS, GAUGES, cumulative, labels_of

try:
    from opentelemetry.metrics import Observation, get_meter
except ModuleNotFoundError as error:
    message = "opentelemetry-api is missing: pip install 'asyncuring[opentelemetry]'"
    raise ModuleNotFoundError(message, name=error.name) from error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.metrics import CallbackOptions, MeterProvider

    from ._metrics import Metric

__all__ = ["instrument"]


def instrument(meter_provider: MeterProvider | None = None) -> None:
    """Create the instruments; their callbacks read `asyncuring.statistics()` at each collection.

    Args:
        meter_provider: by default the global one. There is no way to take instruments back, so
            call this once for each provider.
    """
    meter = get_meter("asyncuring", asyncuring.__version__, meter_provider)
    for metric in COUNTERS:
        meter.create_observable_counter(
            f"asyncuring.{metric.name}",
            [partial(_observe, metric)],
            metric.unit,
            metric.description,
        )
    for metric in GAUGES:
        meter.create_observable_up_down_counter(
            f"asyncuring.{metric.name}",
            [partial(_observe, metric)],
            metric.unit,
            metric.description,
        )
    for attribute, description in DURATIONS.items():
        name = f"asyncuring.operation.{attribute.removesuffix('_seconds')}"
        meter.create_observable_counter(name, [partial(_sums, attribute)], "s", description)
        meter.create_observable_counter(
            f"{name}.bucket", [partial(_buckets, attribute)], "1", description
        )


def _observe(metric: Metric, _options: CallbackOptions) -> Iterator[Observation]:
    for driver in asyncuring.statistics().drivers:
        for labels, value in metric.read(driver):
            yield Observation(value, labels)


def _histograms(attribute: str) -> Iterator[tuple[dict[str, str], asyncuring.Histogram]]:
    for driver in asyncuring.statistics().drivers:
        for operation in driver.operations:
            yield labels_of(driver, operation), getattr(operation, attribute)


def _sums(attribute: str, _options: CallbackOptions) -> Iterator[Observation]:
    for labels, histogram in _histograms(attribute):
        yield Observation(histogram.seconds, labels)


def _buckets(attribute: str, _options: CallbackOptions) -> Iterator[Observation]:
    for labels, histogram in _histograms(attribute):
        for bound, count in cumulative(histogram):
            yield Observation(count, {**labels, "le": f"{bound:.9g}"})
