"""Which system calls this process makes in a stretch of a trial, counted by ``strace -c -f``.

It attaches to the process for that stretch alone, so that what Python calls in order to start, and
the benchmark in order to warm the file, does not count. What is traced is slower by far: such a
trial is marked, does fixed work, and nothing in it is timed.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import replace
from typing import IO, TYPE_CHECKING

from asyncuring.benchmark.kernel_files import read_text
from asyncuring.benchmark.refusal import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncuring.benchmark.recording import Record
    from asyncuring.benchmark.trial import Trial

OPS_PER_TRIAL = 4096
"""Of all clients together: thousands of times the few calls of attaching and detaching."""

OPS_PER_CLIENT_MIN = 16

PR_SET_PTRACER = 0x59616D61
"""From <linux/prctl.h>."""

ATTACHING_LIMIT_S = 20

LOOK_AGAIN_S = 0.002

FIELDS_WITH_ERRORS = 6
"""Share, seconds, microseconds per call, calls, errors, name; where none failed there are five."""


class StraceError(Exception):
    """strace cannot be used here."""


class SystemCalls:
    """Counts the calls of all threads of this process, and of what it starts."""

    def __init__(self) -> None:
        self._strace: subprocess.Popen[bytes] | None = None
        self._summary = self._words = ""

    def open(self) -> None:
        """Let strace attach; what is called after this counts."""
        strace = shutil.which("strace")
        if strace is None:
            raise StraceError("strace is not installed; install it with: apt-get install strace")
        _let_children_trace()
        self._summary_file = tempfile.TemporaryFile("w+")  # noqa: SIM115 - `close` closes it
        self._words_file = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as above
        summary = self._summary_file.fileno()
        self._strace = subprocess.Popen(
            [strace, "-c", "-f", "-q", "-o", f"/dev/fd/{summary}", "-p", str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=self._words_file,
            stderr=subprocess.STDOUT,
            pass_fds=(summary,),
        )
        # It stops each thread as it attaches, and lets none go on before it has all of them.
        traced = f"\nTracerPid:\t{self._strace.pid}\n"
        deadline = time.monotonic() + ATTACHING_LIMIT_S
        while traced not in (read_text("/proc/thread-self/status") or ""):
            if self._strace.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise StraceError(self._words or "strace does not attach")
            time.sleep(LOOK_AGAIN_S)

    def close(self) -> None:
        """Let strace detach, if it is attached."""
        if self._strace is None:
            return
        self._strace.send_signal(signal.SIGINT)
        self._strace.wait()
        self._strace = None
        self._summary = _content_of(self._summary_file)
        self._words = " ".join(_content_of(self._words_file).split())

    def record(self) -> Record:
        """Return calls and errors by the name of the system call."""
        counts = dict(_counts(self._summary))
        if not counts:
            raise StraceError(self._words or "strace counted nothing")
        return counts


def traced(trials: Iterable[Trial]) -> list[Trial]:
    """Return one trial of the marked pass for each kind of trial: fixed work, no repeats."""
    kinds = {
        replace(trial, traced=True, repeat=0, duration_s=None, ops_per_client=_ops(trial)): None
        for trial in trials
    }
    return list(kinds)


def refuse_without_strace() -> None:
    """Refuse unless strace may attach to a process here; it is tried with this one."""
    system_calls = SystemCalls()
    try:
        system_calls.open()
    except StraceError as error:
        raise RefusalError(f"--system-calls: {error}") from error
    system_calls.close()


def _ops(trial: Trial) -> int:
    """Return how many ops, in full batches, each client of a traced trial does."""
    ops = max(OPS_PER_CLIENT_MIN, OPS_PER_TRIAL // trial.clients)
    return -(-ops // trial.batch) * trial.batch


def _let_children_trace() -> None:
    """Where the kernel's module Yama is in force, only those may trace that are allowed to."""
    any_process = ctypes.c_ulong(-1)
    # Without Yama there is nothing to allow, and it fails.
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, any_process, 0, 0, 0)


def _content_of(file: IO[str]) -> str:
    with file:
        file.seek(0)
        return file.read()


def _counts(summary: str) -> Iterable[tuple[str, Record]]:
    for line in summary.splitlines():
        fields = line.split()
        if (
            len(fields) >= FIELDS_WITH_ERRORS - 1
            and fields[3].isdecimal()
            and fields[-1] != "total"
        ):
            errors = int(fields[4]) if len(fields) == FIELDS_WITH_ERRORS else 0
            yield fields[-1], {"calls": int(fields[3]), "errors": errors}
