"""The one place with global state: which drivers run, for whom, and what becomes of them.

A driver starts with the first file that wants it and stops after the last. Each event loop that
uses a driver has one proactor with it, made at the loop's first operation. A single lock guards
the tables here; no operation on a file takes it.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import stat
import threading
import time
from collections import Counter, deque
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar
from weakref import WeakSet

from ._drivers.device import is_device
from ._drivers.fuse import is_fuse
from ._drivers.native import (
    identity,
    note_file,
    regions_after_fork,
    start_threads,
    start_uring,
    start_uring_local,
)
from ._drivers.simulated import SimulatedDriver
from ._errors import DriverUnavailableError, ForkedProcessError
from ._loops import quick_loop_key, running_loop, running_loop_key
from ._proactor import Proactor

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from typing import Protocol

    from ._account import Account
    from ._drivers import Driver, Identity
    from ._drivers.device import Device

    class Tenant(Protocol):
        """What holds a lease for longer than one operation: an open file."""

        def forget_loops(self) -> None:
            """Look up the proactor anew at the next operation."""
            ...

        def complain_at_exit(self) -> None:
            """Warn of being open when the interpreter ends."""
            ...


__all__ = [
    "DriverChoice",
    "DriverName",
    "LeasedDriver",
    "announce_pool",
    "call_in_loop",
    "for_each_driver",
    "identity",
    "lease",
    "note_opened",
    "open_pools",
    "quick_loop_key",
    "running_loop",
    "running_loop_key",
    "see_to_closed_loops",
    "when_all_quiet",
]

_T = TypeVar("_T")

DriverName = Literal["uring", "uring-local", "threads"]
DriverChoice: TypeAlias = "DriverName | Device"
"""A driver by name, or a device of the program's own, which gets a driver to itself."""

# The most ops that one loop has in the kernel. Measured: cached reads gain nothing beyond 64, an
# NVMe disk little beyond 128; more only makes the kernel's queues, and so the unfairness, longer.
DEPTH = 256

# Native threads: enough to keep a disk busy, few enough to start at once.
THREADS = min(32, 4 * (os.cpu_count() or 1))

# How long a dying interpreter, or a file whose loop is gone, waits for ops that the kernel still
# has. Past it their buffers are leaked: the kernel may yet write to them.
DRAIN_SECONDS = 5.0


class LeasedDriver:
    """A running driver, the files that lease it, and its proactors."""

    def __init__(self, choice: DriverChoice, driver: Driver, reason: str) -> None:
        """Hold a started `driver`, made for `choice` and chosen for `reason`."""
        self._choice = choice
        self.driver = driver
        self.name = driver.name
        self.reason = reason
        self.leases = 0
        self.forked = False
        self.ops_submitted_before = 0  # by proactors that have retired since
        self.inline_reads_before = Counter[int]()
        self.tenants: WeakSet[Tenant] = WeakSet()
        self.proactors: dict[Hashable, Proactor] = {}
        self.pin = driver.pin
        self.direct_alignment = driver.direct_alignment

    def proactor(self) -> Proactor:
        """Return the running loop's proactor, made at its first use.

        Raises:
            RuntimeError: no loop is running in this thread.
            ForkedProcessError: this is a child of the process that started the driver.
        """
        if self.forked:
            message = "the file was opened before this process was forked; open it again here"
            raise ForkedProcessError(message)
        key = running_loop_key()
        proactor = self.proactors.get(key)
        if proactor is None:
            loop = running_loop()
            if loop is None:
                message = "asyncuring needs a running asyncio or trio task; here is neither"
                raise RuntimeError(message)
            sweep()
            # Only this thread runs this loop, so nobody else makes its proactor meanwhile.
            proactor = Proactor(self.driver.attach(DEPTH, loop), loop, DEPTH)
            with _lock:
                self.proactors[key] = proactor
        return proactor

    def release(self) -> None:
        """End one lease; the last one stops the driver. Not in a destructor: `release_later`."""
        with _lock:
            self.leases -= 1
            if self.leases > 0 or self.forked:
                return
            del _in_use[self._choice]
            _retiring.append(self)
            proactors = list(self.proactors.items())
        here = running_loop_key()
        for key, proactor in proactors:
            retire = partial(proactor.retire, partial(self.forget, key))
            if key is here:
                retire()
            else:
                call_in_loop(proactor, retire)
        self._stop_if_unused()

    def release_later(self) -> None:
        """End one lease from a destructor, which may run while this thread holds the lock."""
        _released_later.append(self)

    def forget(self, key: Hashable, proactor: Proactor) -> None:
        """Drop a proactor that has retired."""
        with _lock:
            del self.proactors[key]
            self.ops_submitted_before += proactor.ops_submitted
            self.inline_reads_before.update(dict(enumerate(proactor.inline_reads)))
        self._stop_if_unused()

    def _stop_if_unused(self) -> None:
        with _lock:
            if self.leases > 0 or self.proactors or self not in _retiring:
                return
            _retiring.remove(self)
            self.driver.stop()  # with the lock held: nobody may be reading its counters


_STARTS: dict[DriverName, Callable[[], Driver]] = {
    "uring": start_uring,
    "uring-local": start_uring_local,
    "threads": lambda: start_threads(THREADS),
}

_RINGS = ("uring", "uring-local")

_lock = threading.Lock()
_sweeping = threading.Lock()
_in_use: dict[DriverChoice, LeasedDriver] = {}
# By st_dev, since the last start of a driver: a number may be given to another file system.
_is_fuse: dict[int, bool] = {}
_retiring: list[LeasedDriver] = []
_released_later: deque[LeasedDriver] = deque()
_pools: WeakSet[Any] = WeakSet()  # of buffers


def lease(choice: DriverChoice | None, tenant: Tenant | None = None) -> LeasedDriver:
    """Lease a running driver, starting it if need be.

    choice: None takes io_uring if it works here, else native threads, and keeps the reason.
    tenant: is told of a fork.

    Raises:
        DriverUnavailableError: the driver that was asked for by name cannot run here.
        ValueError: there is no driver of that name.
    """
    if choice is not None and choice not in _STARTS and not is_device(choice):
        message = f"there is no driver {choice!r}; the drivers are {', '.join(map(repr, _STARTS))}"
        raise ValueError(message)
    sweep()
    with _lock:
        leased = _find_or_start(choice)
        leased.leases += 1
        if tenant is not None:
            leased.tenants.add(tenant)
        return leased


def _find_or_start(choice: DriverChoice | None) -> LeasedDriver:
    if choice is None:
        try:
            return _in_use.get("uring") or _start("uring", start_uring(), "io_uring works here")
        except DriverUnavailableError as unavailable:
            leased = _in_use.get("threads") or _start("threads", start_threads(THREADS), "")
            leased.reason = f"io_uring does not work here: {unavailable.cause}"
            return leased
    found = _in_use.get(choice)
    if found is not None:
        return found
    if isinstance(choice, str):
        return _start(choice, _STARTS[choice](), "asked for by name")
    return _start(choice, SimulatedDriver(choice), "a device of the program's own")


def _start(choice: DriverChoice, driver: Driver, reason: str) -> LeasedDriver:
    _is_fuse.clear()
    leased = _in_use[choice] = LeasedDriver(choice, driver, reason)
    return leased


def note_opened(fd: int, driver: Driver) -> Identity | None:
    """Have the driver's rings know a file that was just opened, before an operation names it.

    Returns what it is if it is a regular one whose reads and writes keep nobody waiting who
    carries them out (`fuse.py`); None of any other, and without rings.
    """
    if driver.name not in _RINGS:
        return None
    found = identity(fd)
    if not stat.S_ISREG(found.kind):
        note_file(fd, False)
        return None
    slow = _is_fuse.get(found.device)
    if slow is None:
        slow = _is_fuse[found.device] = is_fuse(found.device)
    note_file(fd, slow)
    return None if slow else found


def announce_pool(pool: Any) -> None:
    """Have `open_pools` return `pool` from now on, as long as it is there."""
    with _lock:
        _pools.add(pool)


def open_pools() -> list[Any]:
    """Return the pools of buffers that are not closed."""
    with _lock:
        return [pool for pool in _pools if not pool.closed]


def for_each_driver(read: Callable[[LeasedDriver], _T]) -> list[_T]:
    """Call `read` for every driver that runs, those included that are about to stop."""
    sweep()
    with _lock:
        return [read(leased) for leased in (*_in_use.values(), *_retiring)]


# -- What was left behind


def call_in_loop(proactor: Proactor, callback: Callable[[], object]) -> None:
    """Call `callback` in the thread of the proactor's loop; at once, if that loop is gone."""
    proactor.calls.append(callback)
    try:
        proactor.loop.call_threadsafe(proactor.run_calls)
    except RuntimeError:  # the loop is closed
        proactor.orphan()


def when_all_quiet(accounts: Sequence[Account], callback: Callable[[], object]) -> None:
    """Call `callback`, in whichever thread, once none of `accounts` has an op under way.

    Each is asked in the thread of its own loop, one after the other. The caller has made sure
    that no new op can begin, so one that was quiet stays quiet.
    """
    if not accounts:
        callback()
        return
    first, *rest = accounts
    then = partial(when_all_quiet, rest, callback)
    call_in_loop(first.proactor, partial(first.when_quiet, then))


def see_to_closed_loops(proactor: Proactor, accounts: Sequence[Account]) -> None:
    """Drain those of `accounts` whose loops are gone, a step per tick of `proactor`'s loop."""
    if any(account.ops > 0 and account.proactor.loop.is_closed() for account in accounts):
        sweep()
        call_in_loop(proactor, partial(see_to_closed_loops, proactor, accounts))


def sweep() -> None:
    """See to what destructors left and to proactors whose loops were closed."""
    while _released_later:
        _released_later.popleft().release()
    if not _sweeping.acquire(blocking=False):
        return  # another thread is at it, and a proactor without a loop has one thread at a time
    try:
        with _lock:
            abandoned = [
                (leased, key, proactor)
                for leased in (*_in_use.values(), *_retiring)
                for key, proactor in leased.proactors.items()
                if proactor.loop.is_closed()
            ]
        for leased, key, proactor in abandoned:
            _drain(proactor)
            proactor.retire(partial(leased.forget, key))
    finally:
        _sweeping.release()


def _drain(proactor: Proactor) -> None:
    """One step towards quiet, for a proactor that has no loop any more."""
    if not proactor.is_orphan:
        proactor.orphan()
    proactor.poll()


def _at_exit() -> None:
    """Wait for the kernel to let go of the program's buffers before they are freed."""
    with _lock:
        everything = [*_in_use.values(), *_retiring]
    proactors = [proactor for leased in everything for proactor in leased.proactors.values()]
    here = [proactor for proactor in proactors if not _runs_elsewhere(proactor)]
    try:
        sweep()
        _drain_all(here)
    finally:  # KeyboardInterrupt, too: somebody does not want to wait
        for proactor in proactors:
            if _runs_elsewhere(proactor) or not proactor.is_quiet:
                _leak(proactor)
    for leased in everything:
        for tenant in list(leased.tenants):
            tenant.complain_at_exit()


def _runs_elsewhere(proactor: Proactor) -> bool:
    """Whether a daemon thread still runs that loop: hands off."""
    return proactor.thread.is_alive() and proactor.thread is not threading.current_thread()


def _drain_all(proactors: Sequence[Proactor]) -> None:
    deadline = time.monotonic() + DRAIN_SECONDS
    while proactors and time.monotonic() < deadline:
        for proactor in proactors:
            _drain(proactor)
        proactors = [proactor for proactor in proactors if not proactor.is_quiet]
        if proactors:
            time.sleep(0.001)


def _leak(proactor: Proactor) -> None:
    """Let nothing that `proactor` holds ever be freed: the kernel may still write to it."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(proactor))


def _after_fork_in_child() -> None:
    """Start clean: the threads did not come along, and the rings are the parent's."""
    global _lock, _sweeping
    regions_after_fork()
    _lock, _sweeping = threading.Lock(), threading.Lock()
    for leased in (*_in_use.values(), *_retiring):
        leased.forked = True
        leased.driver.abandon()
        for tenant in leased.tenants:
            tenant.forget_loops()
        # The parent's ops never complete here; what they hold is kept, for the parent's tables
        # are copied as they were caught.
        _inherited.append(leased.proactors)
        leased.proactors = {}
    for pool in _pools:
        pool.forget_loops()
    _in_use.clear()
    _retiring.clear()
    _released_later.clear()


_inherited: list[dict[Hashable, Proactor]] = []

atexit.register(_at_exit)
os.register_at_fork(after_in_child=_after_fork_in_child)
