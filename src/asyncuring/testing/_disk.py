"""`SimulatedDisk`: the device that the public calls of this package speak to."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from ._carrying import Carrying, first_bytes
from ._crash import any_state, states
from ._misbehaving import Misbehaving
from ._trace import Event, Trace, result_text
from ._volume import Volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from typing_extensions import Self

    from ._crash import CrashState
    from ._rules import Rule

__all__ = ["SimulatedDisk"]

_MEMORY = "/dev/shm"  # noqa: S108  a file system in memory, where there is one

_SYNCS = ("fsync", "fdatasync")
# What the last op before a power cut may have done without being heard of again.
_CHANGES = (
    *("write", "open", "fallocate", "ftruncate", "copy_range", "unlink", "rename", "mkdir"),
    *("link", "symlink"),
)


@dataclass(eq=False)
class _Note:
    """What the disk keeps of an op under way.

    up_to: the number of the first change that came after it began, which a sync therefore does not
    cover.
    """

    up_to: int
    shown: str
    rank: float = 0.0
    is_drawn: bool = False
    fate: Rule | None = None


class SimulatedDisk(Misbehaving):
    """A disk for tests: pass it as `driver` to `open_file`, `rename`, `replace_file` and others.

    It is a folder of the system, `path`, in memory where there is /dev/shm. What the program does
    there is done for real, in the event loop's thread, so that descriptors and errors are the
    kernel's. Beside it the disk keeps what the media would hold: of a file what fsync(2),
    fdatasync(2) or a durable write brought there, of a directory what fsync(2) of the directory
    did. O_DIRECT alone and sync_file_range(2) make nothing durable. A sync covers what was done
    before it began, no more. Files elsewhere can be opened with it, too; they have no media.

    The order in which operations that are under way together end, and all that a rule or a power
    cut leaves open, is drawn by the seed: the same seed and the same program give the same `trace`.
    Without a `delay` an operation takes no time.

    The folder is removed by `close`, or at the end of a ``with`` block.

    Attributes:
        seed: what all that is random comes from.
        path: the folder.
        trace: what was done so far, in order. It grows with each operation.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        path: str | os.PathLike[str] | None = None,
        capacity: int | None = None,
        sector_size: int = 512,
    ) -> None:
        """Make a disk.

        Args:
            seed: draws all that is random.
            path: a folder that is there, on whose content the disk begins as durable, and which it
                does not remove; None: an empty one of its own.
            capacity: in bytes, of all files' sectors that are not zeros; beyond it writes are short
                or fail with ENOSPC. None: as much as the system has.
            sector_size: in bytes; what a power cut leaves whole.

        Raises:
            OSError: the folder cannot be made or read.
        """
        super().__init__()
        self.seed = seed
        self.trace = Trace()
        self._owns_folder = path is None
        if path is None:
            memory = _MEMORY if os.access(_MEMORY, os.W_OK) else None
            path = tempfile.mkdtemp(prefix="asyncuring-disk-", dir=memory)
        self.path = Path(path).resolve()
        self._capacity = capacity
        self._sector_size = sector_size
        self._random = Random(seed)  # noqa: S311  a simulation's
        self._volume = Volume(str(self.path), sector_size)
        self._carrying = Carrying(self._volume, self._random)
        self._bells: list[Callable[[], object]] = []
        self._under_way: list[Any] = []
        self._began: float | None = None
        self._cut_at: int | None = None
        self._is_dead = False

    # -- what users see

    @property
    def operations(self) -> int:
        """How many operations have come to their end; chains count by their steps."""
        return len(self.trace)

    @property
    def is_dead(self) -> bool:
        """Whether its power was cut."""
        return self._is_dead

    def __repr__(self) -> str:
        """Seed and folder."""
        return f"SimulatedDisk(seed={self.seed}, path={str(self.path)!r})"

    def close(self) -> None:
        """Remove the folder, if it is the disk's own. Files should be closed by then."""
        if self._owns_folder:
            shutil.rmtree(self.path, ignore_errors=True)

    def __enter__(self) -> Self:
        """Nothing: the disk is there."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close it."""
        self.close()

    # -- power cuts

    def cut_power_at(self, operation: int) -> None:
        """Cut the power in the middle of an operation, by its number in the trace, from 1 on.

        It ends with EIO, as all that follow do; it may have been done all the same.
        """
        self._cut_at = operation

    def crash(self) -> SimulatedDisk:
        """Cut the power, unless it is cut; let the folder hold what that may have left.

        Which of the states there may be (`crash_states`) is drawn by the seed. From the cut on,
        each operation through this disk fails with EIO, those under way included; only files can
        be closed still.

        Returns:
            The disk after the restart: the same folder, no rules, another seed drawn from this one.
        """
        with self._lock:
            self._cut_power()
            any_state(self.path, self._volume.names, self._random).restore()
            return self._restarted()

    def crash_states(self, limit: int = 100) -> Iterator[CrashState]:
        """Cut the power, unless it is cut; enumerate what that may have left, each state once.

        First come: everything lost, everything kept, each single change lost, the first changes
        kept and the rest lost, each write torn; then states drawn by the seed.

        Args:
            limit: the most states to give.

        Returns:
            States; `CrashState.restore` puts one into the folder, and `restart` goes on with it.
        """
        with self._lock:
            self._cut_power()
        drawing = Random(self.seed)  # noqa: S311  a simulation's
        return islice(states(self.path, self._volume.names, drawing), limit)

    def restart(self) -> SimulatedDisk:
        """Return the disk after a restart, on what the folder holds now. The power must be cut."""
        if not self._is_dead:
            raise RuntimeError("the power is not cut; see crash and crash_states")
        return self._restarted()

    def _restarted(self) -> SimulatedDisk:
        seed = Random(self.seed).getrandbits(32)  # noqa: S311  a simulation's
        return SimulatedDisk(
            seed, path=self.path, capacity=self._capacity, sector_size=self._sector_size
        )

    def _cut_power(self) -> None:
        if self._is_dead:
            return
        self._volume.know_all()
        for request in self._under_way:
            if request.name == "write":
                self._carrying.write_under_way(request)
        self._under_way.clear()
        self._is_dead = True
        for bell in [*self._bells]:
            bell()

    # -- what the driver asks for: see `_drivers.device.Device`

    def listen(self, bell: Callable[[], object], /) -> None:
        """For the driver: call `bell` when the power is cut."""
        with self._lock:
            self._bells.append(bell)

    def unlisten(self, bell: Callable[[], object], /) -> None:
        """For the driver: call it no more."""
        with self._lock:
            self._bells.remove(bell)

    def begin(self, requests: Sequence[Any], now: float, /) -> list[tuple[float, Any]]:
        """For the driver: take on operations, and draw when they end."""
        with self._lock:
            if self._began is None:
                self._began = now
            for request in requests:
                shown = self.trace.path_of(self._carrying.shown(request))
                request.note = _Note(self._volume.number, shown)
            # First in an order that does not depend on the event loop's.
            ordered = sorted(requests, key=_place)
            for request in ordered:
                request.note.rank = self._random.random()
            drawn = [(self._delay(request), request) for request in ordered]
            if not self._is_dead:  # else they end as they come, and nobody takes them off the list
                self._under_way += ordered
            return sorted(drawn, key=lambda item: item[1].note.rank)

    def _delay(self, request: Any) -> float:
        return self._rules.delay(request.name, request.note.shown, self._random)

    def lets_cancel(self, request: Any, now: float, waits: bool, /) -> bool:
        """For the driver: decide whether a cancellation comes in time."""
        with self._lock:
            too_late = not waits and (request.name == "close" or self._random.random() < 1 / 2)
            if self._is_dead or too_late:
                return False
            self._under_way.remove(request)
            self._note(request, -errno.ECANCELED, now, "cancelled")
            return True

    def carry_out(self, request: Any, now: float, /) -> int | None:
        """For the driver: do it."""
        with self._lock:
            if self._is_dead:
                return self._end(request)
            note: _Note = request.note
            if not note.is_drawn:
                note.fate = self._rules.fate(request.name, note.shown, self._random)
                note.is_drawn = True
            if self.operations + 1 == self._cut_at:
                return self._last(request, now)
            result = self._done(request, note.fate)
            if result is not None:
                self._under_way.remove(request)
                self._note(request, result, now, note.fate.effect if note.fate else "")
            return result

    def _end(self, request: Any) -> int:
        """Do what can still be done without power."""
        return self._done(request, None) or 0 if request.name == "close" else -errno.EIO

    def _last(self, request: Any, now: float) -> int:
        """Cut the power in the middle of an operation."""
        if request.name in _CHANGES:
            self._under_way.remove(request)
            result = self._done(request, None)
            if request.name == "open" and result is not None and result >= 0:
                os.close(result)
        self._note(request, -errno.EIO, now, "power cut")
        self._cut_power()
        return self._end(request)

    def _note(self, request: Any, result: int, now: float, fault: str) -> None:
        self.trace.append(
            Event(
                number=self.operations + 1,
                time=now - (self._began or 0.0),
                op=request.name,
                path=request.note.shown,
                offset=request.offset,
                length=request.length,
                result=result_text(request.name, result),
                fault=fault,
            )
        )

    def _done(self, request: Any, fate: Rule | None) -> int | None:
        """Carry a request out as its fate wants it."""
        effect = fate.effect if fate else ""
        try:
            if fate is not None and effect == "fail":
                if request.name in _SYNCS:
                    self._carrying.fail_to_sync(request, request.note.up_to)
                if request.name == "close":  # the descriptor is gone all the same: close(2)
                    self._carrying.close(request)
                return -fate.error
            if request.name in _SYNCS:
                return self._carrying.sync(request, request.note.up_to)
            if effect == "rot":
                self._carrying.rot(request)
            if effect == "short" and request.length > 1:
                self._shorten(request, self._random.randrange(1, request.length))
            if request.name == "write":
                self._keep_to_capacity(request)
                return self._carrying.write(request, effect if effect in _MEDIA else "")
            if request.name in {"fallocate", "copy_range"}:
                self._keep_to_capacity(request)
            result: int | None = getattr(self._carrying, request.name)(request)
        except OSError as error:
            return -(error.errno or errno.EIO)
        return result

    def _shorten(self, request: Any, length: int) -> None:
        request.buffers = first_bytes(request.buffers, length)

    def _keep_to_capacity(self, request: Any) -> None:
        if self._capacity is None:
            return
        fd = request.fd if request.name != "copy_range" else request.call.second_fd
        file = self._carrying.file(fd)
        if file is None:
            return
        size = self._sector_size
        free = (self._capacity - self._volume.used()) // size
        for number in range(request.offset // size, -(-(request.offset + request.length) // size)):
            if number not in file.now.sectors:
                free -= 1
            if free < 0:
                room = number * size - request.offset
                if room <= 0 or request.name != "write":
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                self._shorten(request, room)
                return


_MEDIA = ("lose", "misdirect")


def _place(request: Any) -> tuple[str, str, int, int]:
    return request.name, request.note.shown, request.offset, request.length
