"""The program ``fio`` with one job on io_uring: what the kernel gives a C program.

The clients are its queue depth. It keeps no account of each, so it has no fairness.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from asyncuring.benchmark.engine import Engine
from asyncuring.benchmark.recording import histogram_of
from asyncuring.benchmark.workload import READ, WRITE

if TYPE_CHECKING:
    from asyncuring.benchmark.recording import Record
    from asyncuring.benchmark.trial import Trial

RW = {READ: "randread", WRITE: "randwrite"}


class FioError(Exception):
    """fio is not there, or failed."""


def _command(fio: str, trial: Trial) -> list[str]:
    options = {
        "name": "trial",
        "filename": trial.path,
        "ioengine": "io_uring",
        "rw": RW[trial.workload],
        "bs": trial.block_size,
        "size": trial.file_size,
        "iodepth": trial.clients,
        "numjobs": 1,
        "direct": int(trial.direct),
        # Otherwise it begins by dropping the file from the page cache.
        "invalidate": int(trial.direct),
        "randseed": 1 + trial.seed + trial.repeat,
        # From asking to completion, as clients measure it; json+ has the histogram.
        "lat_percentiles": 1,
        "output-format": "json+",
    }
    if trial.duration_s is None:
        assert trial.ops_per_client is not None
        options["io_size"] = trial.clients * trial.ops_per_client * trial.block_size
    else:
        options |= {"time_based": 1, "runtime": f"{trial.duration_s * 1e3:.0f}ms"}
    return [fio, *(f"--{name}={value}" for name, value in options.items())]


def _run(trial: Trial) -> Record:
    fio = shutil.which("fio")
    if fio is None:
        raise FioError("fio is not installed; install it with: apt-get install fio")
    finished = subprocess.run(
        _command(fio, trial), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if finished.returncode != 0:
        raise FioError(" ".join((finished.stderr or finished.stdout).split())[-300:])
    # It prints its warnings before the JSON.
    output = finished.stdout[finished.stdout.index("{") :]
    report: dict[str, Any] = json.loads(output)
    return _measured(report, trial)


def _measured(report: dict[str, Any], trial: Trial) -> Record:
    (job,) = report["jobs"]
    done = job["write" if trial.workload == WRITE else "read"]
    bins = {int(latency_ns): count for latency_ns, count in done["lat_ns"]["bins"].items()}
    return {
        "seconds": done["runtime"] / 1e3,
        # Of the job alone, as of a process whose start is not counted.
        "cpu_us": (job["usr_cpu"] + job["sys_cpu"]) / 100 * job["job_runtime"] * 1e3,
        "details": {"fio": report["fio version"]},
        "clients": [
            {
                "ops": done["total_ios"],
                "bytes": done["io_bytes"],
                "started_ns": 0,
                "finished_ns": int(done["runtime"] * 1e6),
                "latency_ns_max": done["lat_ns"]["max"],
                "latency_histogram": histogram_of(bins),
                "errors": {},
            }
        ],
    }


engine = Engine(
    name="fio",
    summary="fio, one job on io_uring, as deep as there are clients",
    run=_run,
    workloads=tuple(RW),
    reads=False,
    by_default=False,
)
