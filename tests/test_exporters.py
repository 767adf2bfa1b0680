"""The exporters, against the libraries that they are for: they tell what statistics() tells."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import asyncuring
from asyncuring import open_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run


async def some_operations(file: Path, driver: DriverName, look: Callable[[], None]) -> None:
    """Five reads, a failing write and an inline read; then `look`, while the driver runs."""
    async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:
        for _ in range(5):
            await uring_file.read_at(bytearray(100), 0)
        with pytest.raises(OSError, match="Bad file descriptor"):
            await uring_file.write_at(b"y", 0)
        async with await open_file(file, driver=driver, cached_reads="inline") as inline:
            await inline.read_at(bytearray(100), 0)
        look()


def labels(driver: str, operation: str, **more: str) -> dict[str, str]:
    return {"driver": driver, "operation": operation, "io_class": "default", **more}


def kernel_seconds(operation: str) -> asyncuring.Histogram:
    (driver,) = asyncuring.statistics().drivers
    (found,) = (o.kernel_seconds for o in driver.operations if o.opcode == operation)
    return found


def below(histogram: asyncuring.Histogram, seconds: float) -> int:
    """How many durations are in buckets that end there or before."""
    pairs = zip(histogram.bounds, histogram.counts, strict=True)
    return sum(count for bound, count in pairs if bound <= seconds)


def test_prometheus(run: Run, driver: DriverName, file: Path) -> None:
    prometheus_client = pytest.importorskip("prometheus_client")
    from prometheus_client.parser import text_string_to_metric_families

    from asyncuring.prometheus import StatisticsCollector

    registry = prometheus_client.CollectorRegistry()
    registry.register(StatisticsCollector())
    value = registry.get_sample_value

    def look() -> None:
        reads, writes = labels(driver, "read"), labels(driver, "write")
        assert value("asyncuring_operations_total", reads) == 5
        assert value("asyncuring_operation_bytes_total", reads) == 500
        assert value("asyncuring_operations_total", writes) == 1
        assert value("asyncuring_operation_errors_total", {**writes, "errno": "EBADF"}) == 1
        assert value("asyncuring_operations_in_flight", reads) == 0
        assert value("asyncuring_operations_waiting", reads) == 0
        of_driver = {"driver": driver}
        (now,) = asyncuring.statistics().drivers
        assert value("asyncuring_submitted_total", of_driver) == now.ops_submitted == 9
        of_class = {**of_driver, "io_class": "default"}
        assert value("asyncuring_inline_reads_total", of_class) == 1
        assert value("asyncuring_loops", of_driver) == 1
        assert value("asyncuring_spin_time_seconds_total", of_driver) is not None

        histogram = kernel_seconds("read")
        name = "asyncuring_operation_kernel_seconds"
        assert value(f"{name}_count", reads) == 5
        assert value(f"{name}_sum", reads) == pytest.approx(histogram.seconds)
        assert value(f"{name}_bucket", {**reads, "le": "+Inf"}) == 5

        # As a server reads it.
        text = prometheus_client.generate_latest(registry).decode()
        families = {family.name: family for family in text_string_to_metric_families(text)}
        found = {
            float(sample.labels["le"]): sample.value
            for sample in families[name].samples
            if sample.name.endswith("_bucket") and sample.labels["operation"] == "read"
        }
        assert len(found) == 28  # 2**10 ns to 2**36 ns, and no bound
        assert found == {bound: below(histogram, bound) for bound in found}

    run(some_operations, file, driver, look)
    assert value("asyncuring_loops", {"driver": driver}) is None


def points_of(reader: Any) -> dict[str, list[tuple[dict[str, str], float]]]:
    """What an OpenTelemetry reader collects: (attributes, value), by name."""
    data = reader.get_metrics_data()
    if data is None:
        return {}
    return {
        metric.name: [(dict(point.attributes), point.value) for point in metric.data.data_points]
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_opentelemetry(run: Run, driver: DriverName, file: Path) -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.metrics")
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    from asyncuring.opentelemetry import instrument

    reader = InMemoryMetricReader()
    provider = sdk.MeterProvider(metric_readers=[reader])
    instrument(provider)
    assert points_of(reader) == {}

    def look() -> None:
        points = points_of(reader)
        reads = labels(driver, "read")
        assert (reads, 5) in points["asyncuring.operations"]
        assert (reads, 500) in points["asyncuring.operation.bytes"]
        assert points["asyncuring.operation.errors"] == [
            (labels(driver, "write", errno="EBADF"), 1)
        ]
        assert (reads, 0) in points["asyncuring.operations.in_flight"]
        assert points["asyncuring.submitted"] == [({"driver": driver}, 9)]
        inline = {"driver": driver, "io_class": "default"}
        assert points["asyncuring.inline.reads"] == [(inline, 1)]
        histogram = kernel_seconds("read")
        assert (reads, histogram.seconds) in points["asyncuring.operation.kernel"]
        found = {
            attributes["le"]: value
            for attributes, value in points["asyncuring.operation.kernel.bucket"]
            if attributes["operation"] == "read"
        }
        assert len(found) == 28
        assert found["inf"] == 5
        # The bounds are written short: a bound's own bucket ends there.
        assert found == {le: below(histogram, float(le) * (1 + 1e-8)) for le in found}

    run(some_operations, file, driver, look)
    provider.shutdown()


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("prometheus", "prometheus_client"),
        ("opentelemetry", "opentelemetry"),
        ("integrations.zarr", "zarr"),
        ("integrations.fsspec", "fsspec"),
    ],
)
def test_without_its_library_a_module_names_the_remedy(module: str, package: str) -> None:
    program = (
        f"import sys\nsys.modules[{package!r}] = None\n"
        f"try:\n    import asyncuring.{module}\n"
        "except ModuleNotFoundError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert f"pip install 'asyncuring[{module.rsplit('.', maxsplit=1)[-1]}]'" in done.stdout


def test_nothing_is_imported_that_nobody_asks_for() -> None:
    program = (
        "import asyncuring, asyncuring.integrations, sys\n"
        "optional = {'prometheus_client', 'opentelemetry', 'trio', 'zarr', 'fsspec', 'numpy'}\n"
        "print(optional & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout == "set()\n"
