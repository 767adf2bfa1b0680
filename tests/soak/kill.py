"""Kills a process that makes things durable, at any moment, and looks what is there, many times.

SIGKILL takes the process, and leaves the page cache. So this is about what the library
acknowledges, and when: an op that was told of and never reached the kernel, or only in part, is
missing afterwards. What a disk keeps is another question (tests/stress/test_replacing_killed.py,
`asyncuring.testing`).
"""

from __future__ import annotations

import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from tests.soak.durable import Acknowledgement, Durable
from tests.soak.segments import turn_of
from tests.soak.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncuring._runtime import DriverName
    from tests.soak.segments import Pair

__all__ = ["kill_again_and_again"]

# After the first acknowledgement. Some processes are killed before it.
_SECONDS_MAX = 0.4
_STARTING_SECONDS_MAX = 0.5
_STARTING_SHARE = 0.1

# A process that tells of nothing for so long hangs.
_SILENCE_SECONDS_MAX = 25.0


def kill_again_and_again(
    duration: float,
    drivers: Sequence[DriverName],
    loops: Sequence[str],
    seed: int,
) -> tuple[Tally, dict[str, int]]:
    """Do it for `duration` seconds; return what was verified, and what was counted."""
    tally = Tally()
    until = monotonic() + duration
    generator = random.Random(seed)
    directory = Path(tempfile.mkdtemp(prefix="asyncuring-soak-"))
    try:
        durable = Durable(directory)
        number = 0
        while number == 0 or monotonic() < until:
            turn, place = divmod(number, max(len(drivers), len(loops)))
            pair = turn_of(turn, drivers, loops)[place]
            number += 1
            _kill_one(directory, pair, number, generator, durable)
            durable.check(tally)
    finally:
        shutil.rmtree(directory)
    return tally, {"processes killed": number, **durable.counts}


def _kill_one(
    directory: Path, pair: Pair, number: int, generator: random.Random, durable: Durable
) -> None:
    ours, theirs = os.pipe()
    command = [sys.executable, "-m", "tests.soak.killed", str(directory), *pair]
    process = subprocess.Popen([*command, str(number), str(theirs)], pass_fds=(theirs,))
    os.close(theirs)
    try:
        if generator.random() < _STARTING_SHARE:
            stream = _read(ours, generator.random() * _STARTING_SECONDS_MAX)
        else:
            stream = _first(ours) + _read(ours, generator.random() * _SECONDS_MAX)
    finally:
        process.send_signal(signal.SIGKILL)
        status = process.wait()
    # All that it told before.
    while piece := os.read(ours, 1 << 16):
        stream += piece
    os.close(ours)
    if status != -signal.SIGKILL:
        message = f"the process on {' and '.join(pair)} ended by itself: {status}"
        raise AssertionError(message)
    durable.counts["killed before the first acknowledgement"] += not stream
    for told in Acknowledgement.decoded(stream):
        durable.acknowledge(told)


def _first(pipe: int) -> bytes:
    if not select.select([pipe], [], [], _SILENCE_SECONDS_MAX)[0]:
        message = f"nothing was acknowledged within {_SILENCE_SECONDS_MAX:g} s"
        raise AssertionError(message)
    return os.read(pipe, 1 << 16)


def _read(pipe: int, seconds: float) -> bytes:
    """Return what comes within that time."""
    until = monotonic() + seconds
    stream = b""
    while (left := until - monotonic()) > 0:
        if select.select([pipe], [], [], left)[0]:
            piece = os.read(pipe, 1 << 16)
            if not piece:
                break  # it has ended
            stream += piece
    return stream
