"""``--verify``: what is read is looked at at once, what is written after the trial.

What each op costs more counts as its latency. Each block that is written carries its number and
a checksum, and other bytes than in any trial before: a write that was lost is seen.
"""

# ruff: noqa: ARG002  the checks of all workloads are called alike

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncuring.benchmark import dataset, files
from asyncuring.benchmark.workload import (
    LOG_APPEND,
    LOG_APPEND_GROUP,
    MIX,
    READ_MANY,
    SMALL_FILES,
    WRITE,
    WRITING,
)

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.workload import Op, Requests


class Check:
    """What is done before and after each op on one file, and when all are done."""

    def __init__(self, trial: Trial, first_block: int) -> None:
        """Prepare for the file of ``trial``, whose blocks carry numbers from there on."""
        self._trial = trial
        self._size = trial.block_size
        self._first_block = first_block

    def before(self, buf: mmap.mmap, what: Any) -> Any:
        """Return what `after` is to know."""

    def after(self, buf: mmap.mmap, what: Any, noted: Any, result: Any) -> None:
        """Raise `dataset.CorruptBlockError` if what an op did is wrong. Not if it raised."""
        raise NotImplementedError

    def finish(self) -> None:
        """Raise `dataset.CorruptBlockError` if the file is not what it has to be."""

    def _look_at(self, buf: mmap.mmap, off: int) -> None:
        dataset.check_block(buf, off + self._first_block * self._size, self._size)


class _Reads(Check):
    def after(self, buf: mmap.mmap, what: int, noted: Any, result: int) -> None:
        if result == self._size:
            self._look_at(buf, what)


class _Batches(Check):
    # Two requests of one batch have buffers of their own, so all can be looked at afterwards.
    def after(
        self,
        buf: mmap.mmap,
        what: Requests,
        noted: Any,
        result: list[Any],
    ) -> None:
        for (each, off), count in zip(what, result, strict=True):
            if count == self._size:
                self._look_at(each, off)


class _SmallFiles(Check):
    def after(self, buf: mmap.mmap, what: str, noted: Any, result: int) -> None:
        if result == self._size:
            self._look_at(buf, int(Path(what).name) * self._size)


class _Writes(Check):
    """Any lane may write any block, so a block has the same bytes whoever writes it."""

    def __init__(self, trial: Trial, first_block: int) -> None:
        super().__init__(trial, first_block)
        # Not of the seed: the trial before may have had the same one.
        self._pool = dataset.make_pool(self._size, time.time_ns())
        self._lock = threading.Lock()
        self._begun: Counter[int] = Counter()
        self._done: Counter[int] = Counter()
        self._written: dict[int, int] = {}
        """By number of the block: its checksum, once a write of it succeeded."""

    def before(self, buf: mmap.mmap, what: int) -> Any:
        number = self._first_block + what // self._size
        with self._lock:
            self._begun[number] += 1
        return number, self._fill(buf, number)

    def after(
        self,
        buf: mmap.mmap,
        what: int,
        noted: Any,
        result: int,
    ) -> None:
        if result == self._size:
            number, checksum = noted
            with self._lock:
                self._done[number] += 1
                self._written[number] = checksum

    def finish(self) -> None:
        for number, block in enumerate(_from_disk(self._trial), start=self._first_block):
            # Where a write failed may be anything.
            if self._begun[number] == self._done[number]:
                self._verify(number, block)

    def _fill(self, buf: mmap.mmap, number: int, version: int = 0) -> int:
        """Make the block, and return its checksum."""
        buf[:] = dataset.make_block(number, self._size, self._pool, version)
        return dataset.checksum_of(buf)

    def _verify(self, number: int, block: memoryview) -> None:
        dataset.check_block(block, number * self._size, self._size)
        if self._written.get(number, dataset.checksum_of(block)) != dataset.checksum_of(block):
            raise dataset.CorruptBlockError(f"block {number} was written, and is not in the file")


class _Mix(_Writes):
    def before(self, buf: mmap.mmap, what: int) -> Any:
        if what < 0:
            return super().before(buf, WRITING - what)
        return self._done[self._first_block + what // self._size]

    def after(self, buf: mmap.mmap, what: int, noted: Any, result: int) -> None:
        if what < 0:
            super().after(buf, WRITING - what, noted, result)
        elif result == self._size:
            try:
                self._look_at(buf, what)
            except dataset.CorruptBlockError:
                # Who reads what is being written may get a part of each.
                if self._begun[self._first_block + what // self._size] == noted:
                    raise


class _Log(_Writes):
    """Each place has one lane, which comes back to it: each time with other bytes."""

    def __init__(self, trial: Trial, first_block: int) -> None:
        super().__init__(trial, first_block)
        self._versions = itertools.count()

    def _fill(self, buf: mmap.mmap, number: int, version: int = 0) -> int:
        return super()._fill(buf, number, next(self._versions))


class _GroupedLog(_Writes):
    """Nobody but the engine knows where a record is, so records carry numbers of their own."""

    def __init__(self, trial: Trial, first_block: int) -> None:
        super().__init__(trial, first_block)
        self._numbers = itertools.count()

    def before(self, buf: mmap.mmap, what: int) -> Any:
        return super().before(buf, next(self._numbers) * self._size)

    def finish(self) -> None:
        found = set(map(self._record_of, _from_disk(self._trial)))
        for number, checksum in self._written.items():
            if (number, checksum) not in found:
                raise dataset.CorruptBlockError(
                    f"record {number} was acknowledged, and is not in the log"
                )

    def _record_of(self, block: memoryview) -> tuple[int, int] | None:
        try:
            number, checksum = dataset.header_of(block)
            dataset.check_block(block, number * self._size, self._size)
        except dataset.CorruptBlockError:
            # Of a trial before, or not written whole.
            return None
        return number, checksum


CHECKS: dict[str, type[Check]] = {
    READ_MANY: _Batches,
    SMALL_FILES: _SmallFiles,
    WRITE: _Writes,
    MIX: _Mix,
    LOG_APPEND: _Log,
    LOG_APPEND_GROUP: _GroupedLog,
}
"""By workload; the others read one block per op."""


def checks_of(trial: Trial) -> dict[str, Check]:
    """Return the checks of the trial's files, by path."""
    check = CHECKS.get(trial.workload, _Reads)
    checks: dict[str, Check] = {}
    for client in range(trial.clients + trial.background):
        part = files.part_of(trial, client)
        if part.path not in checks:
            checks[part.path] = check(part, files.first_block_of(trial, client))
    return checks


def checked(op: Op, check: Check | None) -> Op:
    """Return ``op`` with the check around it, if there is one."""
    if check is None:
        return op

    async def checked_op(buf: mmap.mmap, what: Any) -> object:
        noted = check.before(buf, what)
        result = await op(buf, what)
        check.after(buf, what, noted, result)
        return result

    return checked_op


def checked_sync(op: Op, check: Check | None) -> Op:
    """Do as `checked` does, for threads."""
    if check is None:
        return op

    def checked_op(buf: mmap.mmap, what: Any) -> object:
        noted = check.before(buf, what)
        result = op(buf, what)
        check.after(buf, what, noted, result)
        return result

    return checked_op


def _from_disk(trial: Trial) -> Iterator[memoryview]:
    """Yield the blocks of a file, as they are on the disk."""
    dataset.write_back(trial.path)
    dataset.drop_from_cache(trial.path)
    return dataset.blocks_of(Path(trial.path), trial.block_size)
