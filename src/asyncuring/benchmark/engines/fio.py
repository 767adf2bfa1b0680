"""The program ``fio``: what the kernel gives a C program.

``fio`` is one job on io_uring; the clients are its queue depth. ``fio-psync`` is a thread for
each client, in ``pread`` or ``pwrite``. It keeps no account of each, so it has no fairness.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from asyncuring.benchmark.engine import Engine
from asyncuring.benchmark.offsets import ZIPF_EXPONENT
from asyncuring.benchmark.recording import histogram_of
from asyncuring.benchmark.requirement import Program
from asyncuring.benchmark.workload import MIX, READ, SEQUENTIAL_READ, SHARED, WRITE, ZIPF

if TYPE_CHECKING:
    from asyncuring.benchmark.recording import Record
    from asyncuring.benchmark.trial import Trial

FIO = Program("fio", "apt-get install fio")

IO_URING = "io_uring"
PSYNC = "psync"

RW = {READ: "randread", WRITE: "randwrite", MIX: "randrw", SEQUENTIAL_READ: "read"}


class FioError(Exception):
    """fio failed, or cannot do what it was asked for."""


def _command(ioengine: str, trial: Trial) -> list[str]:
    lanes = trial.clients * trial.pipeline
    depth, jobs = (lanes, 1) if ioengine == IO_URING else (1, lanes)
    options = {
        "name": "trial",
        "filename": trial.path,
        "ioengine": ioengine,
        "rw": RW[trial.workload],
        "bs": trial.block_size,
        "size": trial.file_size,
        "rwmixread": round(trial.read_share * 100),
        "iodepth": depth,
        "numjobs": jobs,
        # Threads, and one report for all of them.
        "thread": int(jobs > 1),
        "group_reporting": 1,
        "random_distribution": f"zipf:{ZIPF_EXPONENT}" if trial.offsets == ZIPF else "random",
        "direct": int(trial.direct),
        # Otherwise it begins by dropping the file from the page cache.
        "invalidate": int(trial.direct),
        "randseed": 1 + trial.seed + trial.repeat,
        # From asking to completion, as clients measure it; json+ has the histogram.
        "lat_percentiles": 1,
        "output-format": "json+",
    }
    if trial.workload == SEQUENTIAL_READ:
        # A stretch of the file for each.
        stretch = trial.file_size // trial.block_size // jobs * trial.block_size
        options |= {"size": stretch, "offset_increment": stretch}
    if trial.duration_s is None:
        assert trial.ops_per_client is not None
        # Of each job.
        options["io_size"] = trial.clients * trial.ops_per_client * trial.block_size // jobs
    else:
        options |= {"time_based": 1, "runtime": f"{trial.duration_s * 1e3:.0f}ms"}
    return ["fio", *(f"--{name}={value}" for name, value in options.items())]


def _run(ioengine: str, trial: Trial) -> Record:
    if trial.files != SHARED:
        raise FioError("fio is run on one file that all clients share")
    if trial.think_s:
        raise FioError("fio is run without time to think")
    if missing := FIO.missing():
        raise FioError(missing)
    finished = subprocess.run(
        _command(ioengine, trial),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if finished.returncode != 0:
        raise FioError(" ".join((finished.stderr or finished.stdout).split())[-300:])
    # It prints its warnings before the JSON.
    output = finished.stdout[finished.stdout.index("{") :]
    report: dict[str, Any] = json.loads(output)
    return _measured(report)


def _measured(report: dict[str, Any]) -> Record:
    (job,) = report["jobs"]
    done = [job[direction] for direction in ("read", "write") if job[direction]["total_ios"]]
    bins: Counter[int] = Counter()
    for one in done:
        bins.update({int(ns): count for ns, count in one["lat_ns"]["bins"].items()})
    runtime_ms = max((one["runtime"] for one in done), default=job["job_runtime"])
    return {
        "seconds": runtime_ms / 1e3,
        # Of the jobs alone, as of a process whose start is not counted.
        "cpu_us": (job["usr_cpu"] + job["sys_cpu"]) / 100 * job["job_runtime"] * 1e3,
        "details": {"fio": report["fio version"]},
        "clients": [
            {
                "ops": sum(one["total_ios"] for one in done),
                "bytes": sum(one["io_bytes"] for one in done),
                "started_ns": 0,
                "finished_ns": int(runtime_ms * 1e6),
                "latency_ns_max": max((one["lat_ns"]["max"] for one in done), default=None),
                "latency_histogram": histogram_of(bins),
                "errors": {},
            }
        ],
    }


def _engine(name: str, summary: str, notes: str, ioengine: str, *workloads: str) -> Engine:
    return Engine(
        name=name,
        summary=summary,
        notes=notes + "; not Python; keeps no account of each client",
        requires=FIO,
        run=partial(_run, ioengine),
        workloads=workloads,
        loops=(),
        reads=False,
        by_default=False,
    )


engines = (
    _engine(
        "fio",
        "fio, one job on io_uring, as deep as there are clients",
        "the limit of one thread in C",
        IO_URING,
        *(READ, WRITE, MIX),
    ),
    _engine(
        "fio-psync",
        "fio, a thread in pread or pwrite for each client",
        "the limit of blocking threads in C",
        PSYNC,
        *RW,
    ),
)
