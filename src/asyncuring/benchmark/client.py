"""The clients of a trial: what each asks for on its lanes, and what they measured together."""

from __future__ import annotations

import mmap
import random
from array import array
from typing import TYPE_CHECKING

from asyncuring.benchmark.files import part_of, small_file
from asyncuring.benchmark.lane import Lane
from asyncuring.benchmark.lane_times import client_record
from asyncuring.benchmark.offsets import draw_offsets
from asyncuring.benchmark.workload import MIX, READ_MANY, SMALL_FILES, WORKLOADS, WRITING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncuring.benchmark.lane import Works
    from asyncuring.benchmark.recording import Record
    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.window import Window
    from asyncuring.benchmark.workload import Requests


class Client:
    """One simulated client: as many lanes as it has ops in flight."""

    def __init__(self, trial: Trial, number: int) -> None:
        """Prepare the lanes of client ``number``."""
        self._trial = trial
        self.file = part_of(trial, number)
        first = number * trial.pipeline
        self.lanes: Sequence[Lane] = [
            _lane(trial, first + lane, _share(trial, lane)) for lane in range(trial.pipeline)
        ]

    def record(self, window: Window) -> Record:
        """Return what this client measured."""
        lanes = [lane.times for lane in self.lanes]
        return client_record(window.opened_ns, lanes, self._trial.block_size, self._trial.batch)


def _share(trial: Trial, lane: int) -> int | None:
    """Return how many ops of a client's fixed work one of its lanes has; a batch is one."""
    if trial.ops_per_client is None:
        return None
    ops = trial.ops_per_client // trial.batch
    return ops // trial.pipeline + (lane < ops % trial.pipeline)


def _lane(trial: Trial, number: int, ops: int | None) -> Lane:
    buffers = [_buffer(trial) for _ in range(trial.batch)]
    offsets = draw_offsets(trial, number)
    works: Works = offsets
    expected: object = trial.block_size
    if trial.workload == READ_MANY:
        expected = [trial.block_size] * trial.batch
        works = _batches(buffers, offsets)
    elif trial.workload == SMALL_FILES:
        works = [small_file(trial, off // trial.block_size) for off in offsets]
    elif trial.workload == MIX:
        works = _mixed(trial, number, offsets)
    return Lane(buffers[0], works, expected=expected, ops=ops, think_s=trial.think_s)


def _buffer(trial: Trial) -> mmap.mmap:
    buf = mmap.mmap(-1, trial.block_size)
    if WORKLOADS[trial.workload].writes:
        # No disk may find it easier than real data.
        buf[:] = random.Random(trial.seed).randbytes(trial.block_size)
    return buf


def _batches(buffers: list[mmap.mmap], offsets: array[int]) -> list[Requests]:
    """Return full batches; made before the window opens, as the other lanes' offsets are."""
    size = len(buffers)
    firsts = range(0, len(offsets) - size + 1, size)
    return [list(zip(buffers, offsets[first : first + size], strict=True)) for first in firsts]


def _mixed(trial: Trial, number: int, offsets: array[int]) -> array[int]:
    """Return the offsets, those to write to marked."""
    source = random.Random(f"{trial.seed}/{trial.repeat}/{number}/writes")
    marked = (off if source.random() < trial.read_share else WRITING - off for off in offsets)
    return array("q", marked)
