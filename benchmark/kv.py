"""docs/examples/kv_server.py against its thread-pool twin and redis-server, by redis-benchmark.

Usage: python -m benchmark.kv [DIRECTORY] [--repeats 9] [--seconds 100] [--fsync always]. Needs
Debian's redis-server and redis-tools. The logs are in DIRECTORY, on one disk. Each server
runs on a free port, and is asked the same in turns; medians, and the medians of the ratios of
neighbours, are printed and go into results/kv.csv. Redis's own log syncs in its one
thread, with `--appendonly yes --appendfsync always`, and takes no snapshots.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.disturbance import watch

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
OURS = HERE.parent / "docs" / "examples" / "kv_server.py"
TWIN = "benchmark.kv_thread_pool"
RESULTS = HERE / "results" / "kv.csv"

SERVERS = ("asyncuring", "thread-pool", "redis-server")
TESTS = ("PING_INLINE", "PING_MBULK", "SET", "GET")
PIPELINES = (1, 16)
CLIENTS = 50
REQUESTS = {(1, False): 4_000, (1, True): 8_000, (16, False): 24_000, (16, True): 64_000}
"""By pipeline, and whether nothing is written: some tenths of a second each."""

SECONDS_MAX = 60
COLUMNS = ("test", "pipeline", "server", "ops_per_second", "latency_ms_p50", "latency_ms_p99",
           "cpu_us_per_op", "ratio_to_thread_pool", "ratio_to_redis", "repeats",
           "others_percent")  # fmt: skip

Figures = tuple[float, float, float, float]  # ops/s, p50, p99 in ms, the server's CPU us per op
Repeat = dict[str, dict[tuple[str, int], Figures]]  # by server, then by test and pipeline


def command(server: str, folder: Path, port: int, fsync: str) -> list[str]:
    """Return how to start a server whose log is in `folder`."""
    if server == "redis-server":
        fsync = {"never": "no"}.get(fsync, fsync)
        settings = f"--appendonly yes --appendfsync {fsync} --bind 127.0.0.1 --port {port}"
        return [server, *settings.split(), "--save", "", "--dir", str(folder.resolve())]
    program = [str(OURS)] if server == "asyncuring" else ["-m", TWIN]
    options = ["--port", str(port), "--fsync", fsync]
    return [sys.executable, *program, str(folder.resolve() / "log"), *options]


def free_port() -> int:
    """Return one that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(server: str, directory: str, fsync: str) -> Iterator[tuple[int, int]]:
    """Start a server; gives its port and process id, and ends it."""
    port = free_port()
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        process = subprocess.Popen(
            command(server, Path(folder), port, fsync),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=HERE.parent,
        )
        try:
            wait_until_ready(process, port)
            yield port, process.pid
        finally:
            process.terminate()
            process.communicate(timeout=SECONDS_MAX)


def measure(directory: str, fsync: str, repeats: int, seconds: float) -> list[Repeat]:
    """Ask all servers everything, one after the other; the others are idle meanwhile."""
    found: list[Repeat] = []
    with ExitStack() as stack:
        places = {s: stack.enter_context(running(s, directory, fsync)) for s in SERVERS}
        started = time.monotonic()
        for number in range(repeats):
            if number and time.monotonic() > started + seconds:
                break
            order = SERVERS if number % 2 == 0 else SERVERS[::-1]
            repeat: Repeat = {server: {} for server in SERVERS}
            for pipeline, test in product(PIPELINES, TESTS):
                for server in order:
                    repeat[server][test, pipeline] = ask(*places[server], test, pipeline)
            found.append(repeat)
    return found


def wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until the server answers."""
    for _ in range(200):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            raise RuntimeError(process.communicate()[1].decode())
        time.sleep(0.05)
    raise RuntimeError("the server does not answer")


def ask(port: int, pid: int, test: str, pipeline: int) -> Figures:
    """Run one test of redis-benchmark."""
    count = REQUESTS[pipeline, test != "SET"]
    options = ["-t", test.lower(), "-c", str(CLIENTS), "-n", str(count), "-P", str(pipeline)]
    before = cpu_s(pid)
    done = subprocess.run(
        ["redis-benchmark", "-p", str(port), "--csv", *options],  # noqa: S607  found on PATH
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS_MAX,
    )
    cpu_us = (cpu_s(pid) - before) * 1e6 / count
    row = next(csv.DictReader(done.stdout.splitlines()))
    latencies = float(row["p50_latency_ms"]), float(row["p99_latency_ms"])
    return float(row["rps"]), *latencies, cpu_us


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of all threads of a process so far (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def table(found: list[Repeat], others: float) -> list[list[str]]:
    """Return the rows of the results: medians over the repeats."""
    rows = []
    for test, pipeline in found[0][SERVERS[0]]:
        for server in SERVERS:
            mine = [repeat[server][test, pipeline] for repeat in found]
            ratios = []
            for other in SERVERS[1:]:
                theirs = [repeat[other][test, pipeline][0] for repeat in found]
                pairs = zip(mine, theirs, strict=True)
                ratios.append(f"{statistics.median(m[0] / t for m, t in pairs):.3f}")
            rate, p50, p99, _ = (statistics.median(column) for column in zip(*mine, strict=True))
            cpu_us = statistics.mean(figures[3] for figures in mine)  # one has few clock ticks
            figures = [f"{rate:.0f}", f"{p50:.3f}", f"{p99:.3f}", f"{cpu_us:.1f}", *ratios]
            rows.append([test, str(pipeline), server, *figures, str(len(found)), f"{others:.0f}"])
    return rows


def main() -> None:
    """Measure, print, and keep the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", nargs="?", default=".", help="where the logs are written")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=100.0, help="begin no repeat after that")
    parser.add_argument("--fsync", choices=("always", "everysec", "never"), default="always")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    for program in ("redis-server", "redis-benchmark"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is not installed (Debian: redis-server and redis-tools)")
    with watch() as disturbance:
        found = measure(options.directory, options.fsync, options.repeats, options.seconds)
    rows = table(found, disturbance.percent)
    with options.out.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
    for row in [COLUMNS, *rows]:
        print("  ".join(cell.rjust(14) for cell in row))


if __name__ == "__main__":
    # So that whoever ends this program ends the servers, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    main()
