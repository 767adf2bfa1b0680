"""The drivers in C, and the only file that talks to `_native._core`."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from functools import partial
from itertools import count, product
from typing import TYPE_CHECKING, Any

from asyncuring._errors import DriverUnavailableError
from asyncuring._histogram import log_linear_bounds
from asyncuring._native._core import ffi, lib

from . import Counters, Identity, SlowOp
from .blocks import Call, ChainMemory, StepOp, call_block, chain_block, vector_block
from .causes import NOT_BUILT, unavailable
from .tallies import Tally, read_tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from asyncuring._op import CallArguments, Op

    from . import Clock

__all__ = [
    "BOUNDS",
    "NativeDriver",
    "address_of",
    "direct_alignment",
    "enter_region",
    "identity",
    "liburing_version",
    "memory_of",
    "note_file",
    "note_slow_ops",
    "pin_buffer",
    "regions_after_fork",
    "remove_region",
    "slow_limit",
    "start_threads",
    "start_uring",
    "start_uring_local",
    "supported_opcodes",
]

# struct asyncuring_op and asyncuring_completion of boundary.h: native sizes, no padding.
_OP = struct.Struct("=QQQQiI")
_OP_SIZE = _OP.size
_COMPLETION = struct.Struct("=Qq")
_COMPLETION_SIZE = _COMPLETION.size
_iter_completions = _COMPLETION.iter_unpack


def _keeping_the_gil(name: str, result: Any, *arguments: Any) -> Callable[..., int]:
    """Return a function of the core that is called with the GIL held, as cffi never does.

    To let the GIL go costs a switch interval, 5 ms, when another thread computes. So what neither
    waits nor takes long keeps it.
    """
    address = int(ffi.cast("uintptr_t", ffi.addressof(lib, name)))
    return ctypes.PYFUNCTYPE(result, *arguments)(address)


_INT, _UINT, _ADDRESS = ctypes.c_int, ctypes.c_uint, ctypes.c_void_p
_INT64, _UINT64 = ctypes.c_int64, ctypes.c_uint64
_exchange = _keeping_the_gil(
    "asyncuring_port_exchange", _INT, _ADDRESS, _UINT, _ADDRESS, _UINT, _INT
)
_read_cached = _keeping_the_gil(
    "asyncuring_port_read_cached", _INT64, _ADDRESS, _INT, _UINT64, _UINT64
)
_call_opcode = _keeping_the_gil("asyncuring_driver_call_opcode", _INT64, _ADDRESS, _UINT, _ADDRESS)
_SOON, _SLOW = lib.ASYNCURING_SOON, lib.ASYNCURING_SLOW
_COUNT: int = _SLOW - 1

# Parsed once; a string would be looked up at each call.
_BYTES = ffi.typeof("char[]")
_NULL = ffi.NULL

BOUNDS = log_linear_bounds(
    lib.ASYNCURING_LINEAR_LOG2, lib.ASYNCURING_PARTS_LOG2, lib.ASYNCURING_BUCKETS
)

# Exports a buffer, writable if that is asked for, until what it returns is dropped.
pin_buffer: Callable[[Any, bool], Any] = partial(ffi.from_buffer, _BYTES)

# One reap's worth: it bounds how long a wake-up keeps the loop from everything else, at some
# 1 us per completion.
_REAP_LIMIT = 32


def start_uring() -> NativeDriver:
    """Start the ring thread; it has done a real read through its ring when this returns.

    Raises:
        DriverUnavailableError: with the likely cause and its remedy.
    """
    return _start_ring("uring", lib.asyncuring_uring_start, lib.ASYNCURING_SIDE_THREADS_MAX)


def start_uring_local() -> NativeDriver:
    """Start the driver without a thread: each port gets a ring of its own.

    Raises:
        DriverUnavailableError: with the likely cause and its remedy.
    """
    return _start_ring("uring-local", lib.asyncuring_uring_local_start)


def _start_ring(name: str, start: Callable[[Any], Any], side_threads: int = 0) -> NativeDriver:
    if not lib.asyncuring_has_uring():
        raise DriverUnavailableError(name, *NOT_BUILT)
    error = ffi.new("asyncuring_start_error *")
    driver = start(error)
    if driver == ffi.NULL:
        in_setup = error.stage == lib.ASYNCURING_STAGE_SETUP
        raise unavailable(name, error.error, in_setup=in_setup)
    return NativeDriver(name, driver, side_threads)


def start_threads(threads: int) -> NativeDriver:
    """Start `threads` native threads.

    Raises:
        OSError: threads, memory or file descriptors are exhausted.
    """
    error = ffi.new("asyncuring_start_error *")
    driver = lib.asyncuring_threads_start(threads, error)
    if driver == ffi.NULL:
        raise OSError(error.error, f"cannot start {threads} threads: {os.strerror(error.error)}")
    return NativeDriver("threads", driver)


class NativeDriver:
    """A driver in C."""

    def __init__(self, name: str, driver: Any, side_threads: int = 0) -> None:
        """Wrap a started driver."""
        self.name = name
        self.side_threads = side_threads
        self._driver = driver
        self.pin = pin_buffer
        # By port, for ports are used again: a late cancel must not hit the next user's op.
        self._tokens: dict[int, Iterator[int]] = {}

    def call(self, opcode: int, arguments: CallArguments, /) -> Call:
        """See `Driver.call`."""
        memories = arguments.path, arguments.second_path, arguments.result
        pins = [self.pin(memory, False) if memory else None for memory in memories]
        addresses = [0 if pin is None else _address(pin) for pin in pins]
        pin = self.pin(call_block(arguments, pins, addresses), False)
        return Call(_checked(_call_opcode(_address(self._driver), opcode, _address(pin))), pin)

    def vectors(self, pins: Sequence[Any], /) -> Any:
        """See `Driver.vectors`."""
        return self.pin(vector_block(pins, [_address(pin) for pin in pins]), False)

    def chain(self, fd: int, steps: Sequence[StepOp], /) -> ChainMemory:
        """See `Driver.chain`."""
        addresses = [0 if step[1] is None else _address(step[1]) for step in steps]
        block = chain_block(fd, steps, addresses)
        return ChainMemory(self.pin(block, True), block)

    def direct_alignment(self, fd: int) -> tuple[int, int] | None:
        """See `Driver.direct_alignment`: statx(2), STATX_DIOALIGN (Linux 6.1)."""
        return direct_alignment(fd)

    def start_side_thread(self, number: int) -> int:
        """See `Driver.start_side_thread`."""
        _checked(lib.asyncuring_driver_side_start(self._driver, number))
        return int(number << lib.ASYNCURING_SIDE_SHIFT)

    def attach(self, depth: int, clock: Clock) -> NativePort:  # noqa: ARG002
        """See `Driver.attach`; the kernel keeps its own time."""
        error = ffi.new("int *")
        port = lib.asyncuring_port_attach(self._driver, depth, error)
        if port == ffi.NULL:
            if error[0] == errno.EUSERS:
                text = "too many event loops use asyncuring in this process"
                raise OSError(error[0], text)
            if self.name == "uring-local":  # each loop has a ring, and this one got none
                raise unavailable(self.name, error[0])
            raise OSError(error[0], os.strerror(error[0]))
        index = lib.asyncuring_port_index(port)
        tokens = self._tokens.setdefault(index, count((index << lib.ASYNCURING_PORT_SHIFT) + 1))
        return NativePort(port, depth, tokens)

    def region(self, number: int) -> int:
        """See `Driver.region`."""
        if self.name == "threads":
            return -errno.EOPNOTSUPP
        return int(lib.asyncuring_driver_region(self._driver, number))

    def counters(self) -> Counters:
        """See `Driver.counters`."""
        counters = ffi.new("asyncuring_counters *")
        lib.asyncuring_driver_counters(self._driver, counters)
        return Counters(
            enters=counters.enters,
            wakeups=counters.wakeups,
            rings=counters.rings,
            spins=counters.spins,
            spin_seconds=counters.spin_ns / 1e9,
            beside=counters.beside,
        )

    def tallies(self, classes: int, opcodes: Sequence[int]) -> dict[tuple[int, int], Tally]:
        """See `Driver.tallies`."""
        tallies = {}
        tally = ffi.new("asyncuring_tally *")
        counters = memoryview(ffi.buffer(tally)).cast("Q")
        nothing = bytes(counters.nbytes)
        for opcode, io_class in product(opcodes, range(classes)):
            if lib.asyncuring_driver_tally(self._driver, io_class, opcode, tally):
                numbers = counters.tolist()
                tallies[io_class, opcode] = read_tally(numbers, BOUNDS, lib.ASYNCURING_ERRNOS)
                counters.cast("B")[:] = nothing
        return tallies

    def stop(self) -> None:
        """See `Driver.stop`."""
        lib.asyncuring_driver_stop(self._driver)
        self._driver = None

    def abandon(self) -> None:
        """See `Driver.abandon`."""
        lib.asyncuring_driver_abandon(self._driver)
        self._driver = None


def _address(pointer: Any) -> int:
    return int(ffi.cast("uintptr_t", pointer))


def _checked(result: int) -> int:
    """Return what the core returned; OSError, if that is a negative errno."""
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


def address_of(buffer: Any) -> int:
    """Address of the first byte of `buffer`."""
    return _address(ffi.from_buffer(buffer))


def memory_of(pin: Any) -> memoryview:
    """Return the bytes that a pin exports; they stay exported as long as this is kept."""
    return memoryview(ffi.buffer(pin))


def direct_alignment(fd: int) -> tuple[int, int] | None:
    """See `Driver.direct_alignment`: statx(2), STATX_DIOALIGN (Linux 6.1)."""
    memory, offset = ffi.new("uint32_t *"), ffi.new("uint32_t *")
    if lib.asyncuring_direct_alignment(fd, memory, offset) < 0:
        return None
    return memory[0], offset[0]


def identity(fd: int) -> Identity:
    """Look what an open file is; whoever has the file system is not asked, so nobody waits.

    Raises:
        OSError: as from statx(2).
    """
    numbers = ffi.new("uint64_t[3]")
    _checked(lib.asyncuring_identity(fd, numbers))
    return Identity(*numbers)


# Memory that rings may register: (address, length) to an id, 0 if there is no room for it, and the
# id again before the memory is unmapped. From destructors, too: no lock of Python's is taken.
enter_region: Callable[[int, int], int] = lib.asyncuring_region_add
remove_region: Callable[[int], None] = lib.asyncuring_region_remove
regions_after_fork: Callable[[], None] = lib.asyncuring_regions_after_fork


# Whether a file that was just opened keeps a ring waiting (`fuse.py`).
note_file: Callable[[int, bool], None] = lib.asyncuring_note_file


class NativePort:
    """A port in C."""

    __slots__ = (
        "_addresses",
        "_cached_place",
        "_completions",
        "_out",
        "_out_address",
        "_port",
        "_port_address",
        "_staging",
        "fd",
        "reap_limit",
        "slow_ops",
        "tokens",
        "unheard",
    )

    def __init__(self, port: Any, depth: int, tokens: Iterator[int]) -> None:
        """Wrap an attached port."""
        self._port = port
        self.fd: int = lib.asyncuring_port_fd(port)
        self.tokens = tokens
        self.reap_limit = _REAP_LIMIT
        self.slow_ops: list[SlowOp] = []
        self.unheard = False
        staging = lib.asyncuring_port_staging(port)
        self._staging = memoryview(ffi.buffer(staging, 2 * depth * _OP.size))
        self._addresses = lib.asyncuring_port_addresses(port)
        self._cached_place = 2 * depth  # of an address: see boundary.h
        self._out = ffi.new("asyncuring_completion[]", _REAP_LIMIT)
        self._completions = memoryview(ffi.buffer(self._out))
        # As _keeping_the_gil wants them.
        self._port_address = _address(port)
        self._out_address = _address(self._out)

    def exchange(self, ops: Sequence[tuple[int, Op]], rung: bool) -> Sequence[tuple[int, int]]:
        """See `Port.exchange`."""
        staging, addresses, pack_into = self._staging, self._addresses, _OP.pack_into
        position = 0
        for index, (token, (_, _, pin, opcode, fd, length, argument, _, origin)) in enumerate(ops):
            addresses[index] = _NULL if pin is None else pin
            pack_into(staging, position, token, origin, argument, length, fd, opcode)
            position += _OP_SIZE
        count = len(ops)
        self.unheard = True  # without a call in between: see `_proactor`
        reaped = _exchange(self._port_address, count, self._out_address, _REAP_LIMIT, rung)
        if reaped > _REAP_LIMIT:
            reaped = self._see_to(reaped)
        return list(_iter_completions(self._completions[: reaped * _COMPLETION_SIZE]))

    def hear(self) -> Sequence[tuple[int, int]]:
        """See `Port.hear`."""
        reaped = lib.asyncuring_port_returned(self._port)
        if reaped > _REAP_LIMIT:
            reaped = self._see_to(reaped)
        return list(_iter_completions(self._completions[: reaped * _COMPLETION_SIZE]))

    def _see_to(self, reaped: int) -> int:
        """Do what an exchange asks for that returns more than a count; returns the count."""
        if reaped == _SOON:
            lib.asyncuring_port_spin(self._port)
            reaped = _exchange(self._port_address, 0, self._out_address, _REAP_LIMIT, False)
        if reaped & _SLOW:
            slow_ops = ffi.new("asyncuring_slow_op **")
            number = lib.asyncuring_port_slow_ops(self._port, slow_ops)
            for slow in ffi.unpack(slow_ops[0], number):
                seconds = (slow.backlog_ns / 1e9, slow.kernel_ns / 1e9, slow.loop_ns / 1e9)
                self.slow_ops.append(SlowOp(slow.token, *seconds))
        return reaped & _COUNT

    def read_cached(self, fd: int, pin: Any, length: int, offset: int) -> int:
        """See `Port.read_cached`."""
        self._addresses[self._cached_place] = pin
        return _read_cached(self._port_address, fd, length, offset)

    def detach(self) -> None:
        """See `Port.detach`."""
        lib.asyncuring_port_detach(self._port)


def note_slow_ops(nanoseconds: int) -> None:
    """Have every port note ops that took so long, in all, or longer; 0: none."""
    global _slow_ns  # noqa: PLW0603  as in the core
    lib.asyncuring_note_slow_ops(nanoseconds)
    _slow_ns = nanoseconds


def slow_limit() -> int:
    """Return what `note_slow_ops` was told last, for ports that are not the core's."""
    return _slow_ns


_slow_ns = 0


def liburing_version() -> str | None:
    """Version of the liburing inside; None in a build without."""
    version = lib.asyncuring_liburing_version()
    return None if version == ffi.NULL else ffi.string(version).decode()


def supported_opcodes() -> list[int]:
    """Return the IORING_OP_* numbers that this kernel supports; empty where it has no io_uring."""
    supported = ffi.new("uint8_t[256]")
    if lib.asyncuring_uring_probe(supported, 256) < 0:
        return []
    return [number for number, works in enumerate(supported) if works]
