"""A log that many tasks append to, made durable group by group.

Knows no event loop, no driver and no C.
"""

# ruff: noqa: SLF001  it is to a file what the file's own methods are

from __future__ import annotations

import errno
from collections import deque
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ._account import Uncancellable
from ._arguments import BUFFERS_MAX, TRANSFER_MAX, checked_offset, pinned
from ._errors import CANCELLED, os_error
from ._file import UringFile
from ._op import Opcode
from ._runtime import call_in_loop

if TYPE_CHECKING:
    import sys
    from collections.abc import Callable, Sequence

    from ._account import Account
    from ._op import Waiter
    from ._proactor import Proactor

    if sys.version_info >= (3, 12):
        from collections.abc import Buffer
    else:
        from typing_extensions import Buffer

__all__ = ["GroupCommit", "GroupStatistics"]

# A group ends before it has more than this, or with its first record. A disk takes no longer for
# a few hundred KiB than for one record; beyond that those who come first would wait for the others.
_GROUP_BYTES = 1024 * 1024


class GroupStatistics(NamedTuple):
    """What a `GroupCommit` has made durable.

    Attributes:
        groups: how many there were, each with one write and one fdatasync.
        records: in all of them.
        bytes: of all records.
        largest: the most records in one group.
    """

    groups: int = 0
    records: int = 0
    bytes: int = 0
    largest: int = 0


class _Record:
    """One append.

    Attributes:
        pin: keeps its bytes exported.
        account: in which it counts as an op of the file, so that closing and barriers wait.
        on_durable: what to call with its offset once it is durable.
        waiter: what its task awaits; gets the offset, or -1 for a failure.
        offset: where it stands in the file; -1: it waits for its group.
        is_done: whether the waiter has its value.
        error: what to raise.
    """

    __slots__ = ("account", "error", "is_done", "offset", "on_durable", "pin", "waiter")

    def __init__(
        self, account: Account, pin: Any, on_durable: Callable[[int], object] | None
    ) -> None:
        """Make one that does not count yet."""
        self.account = account
        self.pin = pin
        self.on_durable = on_durable
        self.waiter: Waiter = account.new_waiter()
        self.offset = -1
        self.is_done = False
        self.error: Exception | None = None

    def end(self, error: Exception | None) -> None:
        """Let the bytes go, and resume the task. Not from within a task."""
        self.error = error
        if error is None and self.on_durable is not None:
            try:
                self.on_durable(self.offset)
            except Exception as raised:  # noqa: BLE001  raised by `append`
                self.error = raised
        self.is_done = True
        self.pin = self.on_durable = None
        self.account.proactor.loop.resume(self.waiter, self.offset if self.error is None else -1)
        self.leave()

    def leave(self) -> None:
        """Count no more."""
        self.account.ops -= 1
        self.account.settle(0)


class _Commit(Uncancellable):
    """The account of the op that commits one group. No task's end may end it."""

    __slots__ = ("_on_done",)

    def __init__(self, proactor: Proactor, on_done: Callable[[int], object]) -> None:
        super().__init__(proactor)
        self._on_done = on_done
        self.on_quiet = lambda: None  # have `settle` called

    def settle(self, value: int) -> None:
        """Tell of the result."""
        if self.on_quiet is not None:  # once
            self.on_quiet = None
            self._on_done(value)


class GroupCommit:
    """Appends the records of many tasks to a file, and makes them durable together.

    To make one record durable takes a disk about as long as to make many. So what is appended while
    a commit is under way becomes the next group: one vectored write (pwritev(2)) and one
    fdatasync(2) behind it, as a chain. The more tasks append at once, the larger the groups; a
    group has 1024 records (IOV_MAX) and 1 MiB at most, or a single longer record.

    It is used in one event loop, the one of the first `append`. Whatever else writes to the range
    that it appends to destroys the log. Its commits count for the `IoClass` in which it was made.

    When a commit fails, the log is at its end: nothing can be appended any more. After a failed
    fsync the kernel may drop what it could not write and report success the next time (fsync(2),
    ERRORS; Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020), and
    after a short write there is half a record in the file. What to do is to open the file again,
    read what is there, and go on behind the last whole record, or in another file.
    """

    def __init__(self, uring_file: UringFile, off: int) -> None:
        """Append to `uring_file`, the first record at offset `off`.

        Raises:
            ValueError, TypeError: there is no such offset, or that is no file.
            ClosedFileError: the file is closed.
            OSError: EINVAL: the file was opened to append, so that the kernel ignores offsets.
        """
        if not isinstance(cast("object", uring_file), UringFile):
            message = f"a GroupCommit appends to an open UringFile, not {type(uring_file).__name__}"
            raise TypeError(message)
        uring_file.chain()  # refused where a commit would be
        assert uring_file._leased is not None  # not closed
        self._file = uring_file
        self._leased = uring_file._leased  # also while the file waits for the last to be closed
        self._end = checked_offset(off)
        self._context = copy_context()
        self._proactor: Proactor | None = None
        self._waiting: deque[_Record] = deque()
        self._is_starting = self._is_committing = False
        self._failure: OSError | None = None
        self._statistics = GroupStatistics()

    @property
    def end(self) -> int:
        """Where the durable part of the log ends, in bytes from the start of the file."""
        return self._end

    @property
    def statistics(self) -> GroupStatistics:
        """How many groups there were, and how large."""
        return self._statistics

    async def append(
        self, data: Buffer, *, on_durable: Callable[[int], object] | None = None
    ) -> int:
        """Append one record, and wait until it is durable.

        Records stand in the file in the order of the calls, without gaps; their tasks are resumed
        in this order, too.

        If the task is cancelled, its record may or may not become part of the log; the others of
        its group are not affected. One whose group is not begun is left out, and the await ends at
        once; one whose group is under way waits for the end of that, for `data` is being read.

        Args:
            data: any C-contiguous buffer. Do not change it meanwhile.
            on_durable: called with the record's offset when it is durable, in the order of the
                records, before any task of its group goes on, and also if the task is cancelled or
                gone by then; never for a record that is left out or whose commit failed. It is how
                what is in memory follows the log whatever becomes of the task. It must not wait;
                what it raises is raised by `append`, and the record is durable all the same.

        Returns:
            The offset of the record in the file.

        Raises:
            OSError: the commit of its group failed, with the kernel's errno (EIO, ENOSPC, …), or an
                earlier one did; the record is not durable, and neither will any other be.
            TypeError, BufferError, ValueError: `data` cannot be used; it was not appended.
            RuntimeError: this is another event loop than that of the first `append`.
            ClosedFileError: the file is closed.
        """
        account = await self._file._account_for_change()
        if self._proactor is not account.proactor:
            self._bind(account.proactor)
        record = _Record(account, self._pinned(data), on_durable)
        try:
            account.ops += 1  # it is interrupted behind the next call, or before this
            self._waiting.append(record)
            self._start_soon()
            offset: int = await record.waiter
        except BaseException as interruption:  # noqa: BLE001  raised there
            offset = await self._interrupted(record, interruption)
        error, record.error = record.error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback names this frame, and that of `end`
        return offset

    def _bind(self, proactor: Proactor) -> None:
        if self._proactor is not None:
            message = "a GroupCommit belongs to the event loop of its first append; this is another"
            raise RuntimeError(message)
        self._proactor = proactor

    def _pinned(self, data: Buffer) -> Any:
        if self._failure is not None:
            raise self._later_error(self._failure)
        pin = pinned(self._leased.pin, data, False)
        if len(pin) > TRANSFER_MAX:
            message = f"a record has at most {TRANSFER_MAX} bytes, not {len(pin)}"
            raise ValueError(message)
        return pin

    async def _interrupted(self, record: _Record, interruption: BaseException) -> int:
        """Raise `interruption` when nothing reads the record any more: `Account.interrupted`."""
        try:
            if record in self._waiting:
                self._waiting.remove(record)
                record.pin = None  # the task's frame, which an exception may keep, has the record
                record.leave()
            elif not record.is_done and not isinstance(interruption, GeneratorExit):
                loop = record.account.proactor.loop
                record.waiter = loop.new_firm_waiter()
                offset: int = await record.waiter
                if loop.keeps_result(interruption):
                    return offset
            raise interruption
        finally:
            del interruption  # its traceback names this frame, and with it the task's

    # -- committing

    def _start_soon(self) -> None:
        """Begin a group when those who append in this tick have done so."""
        if not (self._is_starting or self._is_committing) and self._waiting:
            assert self._proactor is not None  # of the first append
            call_in_loop(self._proactor, self._start)
            self._is_starting = True  # not before: KeyboardInterrupt may have come

    def _start(self) -> None:
        self._is_starting = False
        if self._is_committing:
            return  # it was called twice
        group: list[_Record] = []
        end = self._end
        assert self._proactor is not None
        if self._proactor.loop.is_closed():
            self._fail(CANCELLED, "the event loop is closed", ())
        while self._waiting and len(group) < BUFFERS_MAX:
            record = self._waiting[0]
            if group and end + len(record.pin) - self._end > _GROUP_BYTES:
                break
            record.offset = end
            end += len(record.pin)
            group.append(self._waiting.popleft())
        if group:
            self._is_committing = True
            self._commit(group, end)

    def _commit(self, group: Sequence[_Record], end: int) -> None:
        driver, fd = self._leased.driver, self._file._fd
        vectors = driver.vectors([record.pin for record in group])
        linked = self._file._may_link(end)
        write = (Opcode.WRITEV, vectors, len(group), self._end, end - self._end, linked)
        memory = driver.chain(fd, [write, (Opcode.FDATASYNC, None, 0, 0, 0, False)])
        del vectors, write  # `memory` has them, until it is told to let them go

        def done(value: int) -> None:
            self._committed(group, end, memory.take_results(), value)

        commit = _Commit(group[0].account.proactor, done)
        op = (commit.new_waiter(), Opcode.CHAIN, fd, memory.pin, end - self._end)
        self._context.run(commit.perform, *op)

    def _committed(
        self, group: Sequence[_Record], end: int, results: Sequence[int | None], value: int
    ) -> None:
        self._is_committing = False
        length = end - self._end
        if results == [length, 0]:
            self._end = end
            groups, records, bytes_, largest = self._statistics
            self._statistics = GroupStatistics(
                groups + 1, records + len(group), bytes_ + length, max(largest, len(group))
            )
            for record in group:
                record.end(None)
            self._start_soon()
            return
        detail = f"in the commit of {len(group)} records, {length} bytes at {self._end}"
        if value < 0:
            self._fail(value, detail, group)
        else:
            self._fail(-errno.EIO, f"only {results[0]} bytes were written {detail}", group)

    def _fail(self, result: int, detail: str, group: Sequence[_Record]) -> None:
        """End the log."""
        self._failure = os_error(result, self._file.name, detail)
        for record in group:
            record.end(os_error(result, self._file.name, detail))
        while self._waiting:
            self._waiting.popleft().end(self._later_error(self._failure))

    def _later_error(self, failure: OSError) -> OSError:
        text = f"an earlier commit of the log failed: {failure.strerror}"
        return OSError(failure.errno, text, failure.filename)
