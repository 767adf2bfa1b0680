"""Chains: operations of one file that run in order, up to the first failure.

Knows no event loop, no driver and no C.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from ._arguments import TRANSFER_MAX, checked_offset, pinned, pinned_buffers
from ._errors import CANCELLED, EndOfFileError, os_error
from ._op import Opcode

if TYPE_CHECKING:
    import sys
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from typing_extensions import Self

    from ._runtime import LeasedDriver

    if sys.version_info >= (3, 12):
        from collections.abc import Buffer
    else:
        from typing_extensions import Buffer

__all__ = ["Chain", "Step"]

_STEPS_MAX = 1024


class Step:
    """One operation of a chain, and what came of it.

    Attributes:
        name: of the method that asked for it, such as "write_all_at".
        offset: where it reads or writes, in bytes; 0 for syncs.
        length: how many bytes it was to transfer; 0 for syncs.
        result: how many bytes it transferred, also where these are too few; 0 for a sync that
            succeeded. None if it has not run, or failed.
        error: why the chain stopped at this step; None for every other one.
        skipped: whether the chain has ended without running it.
    """

    __slots__ = ("error", "length", "name", "offset", "op", "result", "skipped")

    def __init__(self, name: str, opcode: int, pin: Any = None, offset: int = 0) -> None:
        """See `Chain`."""
        self.name = name
        self.offset = offset
        self.length = 0
        self.result: int | None = None
        self.error: Exception | None = None
        self.skipped = False
        # opcode, pin, length and argument of its op, and the least result with which to go on.
        self.op: tuple[int, Any, int, int, int] = (opcode, pin, 0, offset, 0)

    def transfers(self, length: int, count: int, *, all_of_it: bool) -> Self:
        """Say how many bytes, and what stands for them in the op: bytes, or a number of buffers."""
        if length > TRANSFER_MAX:  # it would always come short
            message = f"a step transfers at most {TRANSFER_MAX} bytes, not {length}"
            raise ValueError(message)
        self.length = length
        self.op = (*self.op[:2], count, self.offset, length if all_of_it else 0)
        return self

    def __repr__(self) -> str:
        """Say what it is, and what came of it."""
        what = f"{self.length} bytes at {self.offset}, " if self.length else ""
        came = "skipped" if self.skipped else repr(self.error or self.result)
        return f"<asyncuring.Step {self.name}, {what}{came}>"


class Chain:
    """Operations of one file that run one after the other, and stop at the first failure.

    Made by `UringFile.chain`, used with ``async with``. In the block the methods only record
    steps, and so await nothing. When the block is left, they run, as one operation: each begins
    when the one before has succeeded, and a write only counts as that if it was complete. If the
    block is left by an exception, nothing runs.

    Leaving the block waits for the end of the chain. If a step fails, the ones behind it are
    skipped, and its error is raised; every `Step` tells what came of it. A chain that is cancelled
    stops behind the step under way, which is asked to stop as well.

    Other operations go on meanwhile, and other chains: a chain is in order with itself alone. With
    respect to barriers it counts as one write, asked for when the block is left.

    Buffers are exported from the call that records the step to the end of the chain; do not change
    them meanwhile.

    Attributes:
        steps: those recorded so far.
    """

    def __init__(  # noqa: PLR0913, PLR0917  what it takes of its file
        self,
        leased: LeasedDriver,
        fd: int,
        name: str | bytes,
        may_link: Callable[[int], bool],
        perform: Callable[[Any, int], Awaitable[int]],
        error: Callable[[int, int, int], Exception],
    ) -> None:
        """Use `UringFile.chain`."""
        self._leased = leased
        self._fd = fd
        self._name = name
        self._may_link = may_link
        self._perform = perform
        self._new_error = error
        self._is_open = self._was_open = False
        self.steps: list[Step] = []

    async def __aenter__(self) -> Self:
        """Begin to record."""
        if self._was_open:
            message = "this chain was used before; make another one with UringFile.chain()"
            raise RuntimeError(message)
        self._is_open = self._was_open = True
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Run the steps, unless the block is left by an exception.

        Raises:
            OSError: what the step that failed would have raised by itself; the text names the step.
                EIO if a write came short: the file system is full, or a limit was met.
            EndOfFileError: a `read_exactly_at` met the end of the file.
            ClosedFileError: the file is closed.
        """
        self._is_open = False
        try:
            if kind is None and self.steps:
                await self._run()
        finally:
            for step in self.steps:
                step.skipped = step.result is None and step.error is None
                step.op = (0, None, 0, 0, 0)  # the chain may be kept, its buffers not

    # -- recording

    def read_at(self, buf: Buffer, off: int) -> Step:
        """Read at most len(buf) bytes, as `UringFile.read_at`; fewer do not stop the chain.

        Raises:
            TypeError, BufferError, ValueError: buffer or offset cannot be used; nothing was
                recorded. A step transfers at most 2 147 479 552 bytes.
            RuntimeError: outside of the chain's block, or the chain has 1024 steps.
        """
        return self._transfer("read_at", Opcode.READ, buf, off, all_of_it=False)

    def read_exactly_at(self, buf: Buffer, off: int) -> Step:
        """Read until `buf` is full; the end of the file before that stops the chain.

        Raises:
            TypeError, BufferError, ValueError, RuntimeError: as `read_at`.
        """
        return self._transfer("read_exactly_at", Opcode.READ, buf, off, all_of_it=True)

    def write_all_at(self, buf: Buffer, off: int) -> Step:
        """Write all of `buf`; if not all of it is written, the chain stops.

        Raises:
            TypeError, BufferError, ValueError, RuntimeError: as `read_at`.
        """
        return self._transfer("write_all_at", Opcode.WRITE, buf, off, all_of_it=True)

    def writev_all_at(self, bufs: Iterable[Buffer], off: int) -> Step:
        """Write all of several buffers, one behind the other (pwritev(2)).

        If not all of them are written, the chain stops. One step takes 1024 buffers at most.

        Raises:
            TypeError, BufferError, ValueError, RuntimeError: as `read_at`; ValueError also for too
                many buffers.
        """
        pins = pinned_buffers(self._leased.pin, bufs, False)
        step = Step(
            "writev_all_at", Opcode.WRITEV, self._leased.driver.vectors(pins), checked_offset(off)
        )
        return self._record(step.transfers(sum(map(len, pins)), len(pins), all_of_it=True))

    def fsync(self) -> Step:
        """Make data and metadata durable, that of the steps before included (fsync(2)).

        Raises:
            RuntimeError: as `read_at`.
        """
        return self._record(Step("fsync", Opcode.FSYNC))

    def fdatasync(self) -> Step:
        """Make data durable, that of the steps before included (fdatasync(2)).

        Raises:
            RuntimeError: as `read_at`.
        """
        return self._record(Step("fdatasync", Opcode.FDATASYNC))

    def _transfer(
        self, name: str, opcode: Opcode, buf: Buffer, off: int, *, all_of_it: bool
    ) -> Step:
        pin = pinned(self._leased.pin, buf, opcode is Opcode.READ)
        step = Step(name, opcode, pin, checked_offset(off))
        return self._record(step.transfers(len(pin), len(pin), all_of_it=all_of_it))

    def _record(self, step: Step) -> Step:
        if not self._is_open:
            message = "steps are recorded in the chain's block: async with uring_file.chain() as …"
            raise RuntimeError(message)
        if len(self.steps) == _STEPS_MAX:
            message = f"a chain has at most {_STEPS_MAX} steps"
            raise RuntimeError(message)
        self.steps.append(step)
        return step

    # -- running

    async def _run(self) -> None:
        links = self._may_link(max(step.offset + step.length for step in self.steps))
        memory = self._leased.driver.chain(
            self._fd,
            # A read that may come short is not to stop the chain, and would break the link; a sync
            # that fails is to stop it, and would not. This list has no name: whoever keeps this
            # frame must not keep the buffers exported.
            [(*step.op, links and step.op[-1] > 0) for step in self.steps],
        )
        try:
            value = await self._perform(memory.pin, sum(step.length for step in self.steps))
        except GeneratorExit:
            raise  # the chain may be under way still, and keeps what it needs
        except BaseException:
            self._note(memory.take_results(), CANCELLED)
            raise
        self._note(memory.take_results(), value)
        errors = [step.error for step in self.steps if step.error is not None]
        if errors:
            raise errors[0]

    def _note(self, results: Sequence[int | None], value: int) -> None:
        """Say of each step what came of it. value: the result of the chain."""
        stopped = False
        for number, (step, result) in enumerate(zip(self.steps, results)):  # noqa: B905  one each
            if result is not None and result >= 0:
                step.result = result
            if stopped:
                continue  # it has not run, or the kernel has broken its promise
            if result is None or result < step.op[-1]:
                step.error = self._error(number, value if result is None else result)
                stopped = True

    def _error(self, number: int, result: int) -> Exception:
        step = self.steps[number]
        if result >= 0 and step.name == "read_exactly_at":
            return EndOfFileError(result, step.length, os.fsdecode(self._name))
        where = f"in step {number + 1} of {len(self.steps)}, {step.name}"
        if result >= 0:
            what = f"{result} of {step.length} bytes were written at offset {step.offset}"
            return os_error(-errno.EIO, self._name, f"only {what}, {where}")
        error = self._new_error(result, step.length, step.offset)
        if isinstance(error, OSError):
            return OSError(error.errno, f"{error.strerror}, {where}", self._name)
        return error
