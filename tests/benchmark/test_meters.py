"""What is recorded besides the clients: seconds, lag, the process, the disk."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import asyncuring
from asyncuring.benchmark.disk import block_device_of, disk_counters, disk_record
from asyncuring.benchmark.kernel_files import mount_of, mounts
from asyncuring.benchmark.lag import LagProbe, lag_histogram
from asyncuring.benchmark.loops import LOOPS
from asyncuring.benchmark.recording import bucket_middle_ns
from asyncuring.benchmark.runner import run_in_fresh_process
from asyncuring.benchmark.usage import UsageMeter
from asyncuring.benchmark.window import clock_ns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncuring.benchmark.recording import Record
    from asyncuring.benchmark.trial import Trial

BLOCKED_S = 0.05

RUNNING = [name for name in LOOPS if name != "uringio"]
"""That one leaves descriptors behind and keeps the signals: tests run it in fresh processes."""


def total(record: Record, name: str) -> int:
    return sum(interval[name] for interval in record["timeline"])


def test_each_second_has_its_ops_its_lag_and_its_cpu(trial: Trial) -> None:
    record = run_in_fresh_process(
        replace(trial, engine="null", ops_per_client=None, duration_s=1.3)
    )
    first, second = record["timeline"]
    assert first["start_s"] == 0
    assert second["start_s"] == first["seconds"]
    assert first["seconds"] + second["seconds"] >= 1.3
    assert first["ops"] > 0
    assert second["ops"] > 0
    assert total(record, "ops") == sum(client["ops"] for client in record["clients"])
    cpu_us = total(record, "cpu_user_us") + total(record, "cpu_system_us")
    assert 0 < record["cpu_us"] <= cpu_us
    assert sum(first["lag_histogram"][1::2]) > 0
    assert first["rss_bytes"] > 1 << 20


@pytest.mark.parametrize(
    ("engine", "loop"), [("null", "uvloop"), ("null", "trio"), ("blocking", "none")]
)
def test_short_work_is_one_interval(engine: str, loop: str, trial: Trial) -> None:
    record = run_in_fresh_process(replace(trial, engine=engine, loop=loop))
    (interval,) = record["timeline"]
    assert interval["ops"] == 40
    assert (interval["lag_histogram"] is None) == (engine == "blocking")


def test_ops_of_batches_are_blocks(trial: Trial) -> None:
    record = run_in_fresh_process(replace(trial, engine="null", workload="read-many", batch=4))
    assert total(record, "ops") == 40


def latest_ns(probe: LagProbe, since_ns: int) -> float:
    histogram = lag_histogram([probe], since_ns, clock_ns())
    return max((bucket_middle_ns(bucket) for bucket in histogram[::2]), default=0)


@pytest.mark.parametrize("fires", [True, False], ids=["until-it-fires", "to-the-end"])
@pytest.mark.parametrize("loop", RUNNING)
def test_a_loop_that_is_held_up_is_late(loop: str, *, fires: bool) -> None:
    probe, since_ns = LagProbe(), clock_ns()

    async def main() -> None:
        async with LOOPS[loop].probing(probe):
            while not probe.is_set:
                await LOOPS[loop].sleep(0)
            time.sleep(BLOCKED_S)  # noqa: ASYNC251 - holds up the loop
            while fires and probe.is_set:
                await LOOPS[loop].sleep(0)

    LOOPS[loop].run(main)
    # The timer had at most its own millisecond left.
    assert latest_ns(probe, since_ns) >= (BLOCKED_S - 0.001) * 1e9 * 0.96


@pytest.mark.parametrize("loop", RUNNING)
def test_a_failure_under_the_probe_is_raised_as_it_is(loop: str) -> None:
    async def main() -> None:
        async with LOOPS[loop].probing(LagProbe()):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        LOOPS[loop].run(main)


@pytest.fixture
def meter() -> Iterator[UsageMeter]:
    with closing(UsageMeter()) as meter:
        yield meter


def test_the_kernels_workers_are_told_apart(tmp_path: Path, meter: UsageMeter) -> None:

    async def main() -> int | None:
        async with await asyncuring.open_file(tmp_path / "log", "w+", driver="uring") as log:
            # The kernel leaves syncs to a worker.
            for _ in range(20):
                await log.write_all_at(b"x" * 8192, 0)
                await log.fdatasync()
            return meter.read().cpu_kernel_workers_us

    assert meter.read().cpu_kernel_workers_us == 0
    try:
        cpu_us = asyncio.run(main())
    except asyncuring.DriverUnavailableError as error:
        pytest.skip(str(error))
    assert cpu_us
    cpu = meter.read()
    assert cpu_us <= cpu.cpu_user_us + cpu.cpu_system_us


def test_usage_counts_up(meter: UsageMeter) -> None:
    before = meter.read()
    end = time.process_time() + 0.05
    while time.process_time() < end:
        Path("/").stat()
    after = meter.read()
    cpu_us = after.cpu_user_us + after.cpu_system_us - before.cpu_user_us - before.cpu_system_us
    assert cpu_us >= 50_000


def test_what_a_disk_writes_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    before = disk_counters(path)
    if before is None:
        pytest.skip("the temporary folder is on no block device")
    with path.open("wb") as file:
        file.write(os.urandom(4 << 20))
        file.flush()
        os.fsync(file.fileno())
    record = disk_record(before, disk_counters(path))
    assert record is not None
    assert record["written_bytes"] >= 4 << 20
    assert record["writes"] > 0
    assert 0 <= record["saturation"] <= 1
    assert Path("/sys/class/block", record["device"]).exists()


def test_memory_has_no_disk(trial: Trial) -> None:
    if not Path("/dev/shm").is_dir():
        pytest.skip("there is no /dev/shm")
    assert block_device_of(Path("/dev/shm")) is None
    assert disk_record(None, disk_counters(Path(trial.path))) is None


def test_a_mount_is_found_by_any_path_on_it(tmp_path: Path) -> None:
    proc = mount_of(Path("/proc/self"))
    assert proc is not None
    assert (proc.point, proc.file_system) == ("/proc", "proc")
    assert proc in mounts()
    device = block_device_of(tmp_path)
    mount = mount_of(tmp_path)
    if device is None or mount is None or not mount.source.startswith("/dev/"):
        pytest.skip("the temporary folder is on no block device, or its mount is outside a chroot")
    status = Path(mount.source).stat()
    assert (os.major(status.st_rdev), os.minor(status.st_rdev)) == device
