"""A port of the simulated driver: ops under way, when they are due, and streams that they wait for.

Its fd is an epoll instance. That watches an eventfd, the bell, and, while reads and writes of
streams wait, the streams; so no thread is needed, and the loop has one fd to watch as ever.

An op is never done in the exchange that submits it: like a real one it is under way for a while,
and may be cancelled meanwhile.
"""

from __future__ import annotations

import errno
import os
import select
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import TYPE_CHECKING, Any

from asyncuring._op import OPCODE_MASK, Opcode

from .requests import Request, StepsUnderWay, request_of, step_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from asyncuring._op import Op

    from . import Clock, SlowOp
    from .counting import Counting, Entry
    from .device import Device

__all__ = ["SimulatedPort"]

_REAP_LIMIT = 32


@dataclass(eq=False)
class _UnderWay:
    """An op that is not done.

    request: of its step, if it is a chain. is_cancelled: it was asked to end, and may not wait.
    """

    token: int
    entry: Entry
    request: Request
    steps: StepsUnderWay | None
    is_cancelled: bool = False


class SimulatedPort:
    """See `Port`.

    Attributes:
        rings: how often the bell was rung.
    """

    reap_limit = _REAP_LIMIT

    def __init__(
        self,
        device: Device,
        clock: Clock,
        tokens: Iterator[int],
        counting: Counting,
        on_detach: Callable[[SimulatedPort], object],
    ) -> None:
        """Open the fds."""
        self.tokens = tokens
        self.slow_ops: list[SlowOp] = []
        self.unheard = False
        self.rings = 0
        self._device = device
        self._clock = clock
        self._counting = counting
        self._on_detach = on_detach
        self._epoll = select.epoll()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._bell, select.EPOLLIN)
        self.fd = self._epoll.fileno()
        self._is_open = True
        self._under_way: dict[int, _UnderWay] = {}
        # (when, in which order, token). What was cancelled stays here, and is in no other place.
        self._due: list[tuple[float, int, int]] = []
        self._order = count()
        self._streams: dict[int, list[_UnderWay]] = {}  # by fd, in order of arrival
        self._done: deque[tuple[int, int, Entry, float]] = deque()
        self._alarm_at = inf
        self._last = 0.0
        self._brought: list[tuple[int, int]] = []  # by the last exchange
        device.listen(self._ring)

    # -- time

    def _now(self) -> float:
        """Tell the time; with the loop gone, or the power cut, nothing is left to wait for."""
        if self._clock.is_closed():
            return inf
        self._last = self._clock.time()
        return inf if self._device.is_dead else self._last

    def _ring(self) -> None:
        if self._is_open:
            self.rings += 1
            os.eventfd_write(self._bell, 1)

    def _on_alarm(self) -> None:
        self._alarm_at = inf
        self._ring()

    # -- exchanging

    def exchange(self, ops: Sequence[tuple[int, Op]], rung: bool) -> Sequence[tuple[int, int]]:
        """See `Port.exchange`."""
        if rung:
            with suppress(BlockingIOError):  # it was a stream, or an exchange between
                os.eventfd_read(self._bell)
        now = self._now()
        if self._streams:
            self._look_at_streams(now)
        self._carry_out_due(now)
        self._brought = []
        self.unheard = True
        self._take_on(ops, now)
        reaped = [self._done.popleft() for _ in range(min(len(self._done), _REAP_LIMIT))]
        if len(reaped) < _REAP_LIMIT:  # else the caller comes again by himself
            self._see_to_the_next(now)
        for token, result, entry, done in reaped:
            slow = self._counting.end(token, result, entry, done, self._last)
            if slow is not None:
                self.slow_ops.append(slow)
            self._brought.append((token, result))
        return self._brought

    def hear(self) -> Sequence[tuple[int, int]]:
        """See `Port.hear`."""
        return self._brought

    def _see_to_the_next(self, now: float) -> None:
        while self._due and self._due[0][2] not in self._under_way:
            heappop(self._due)  # it was cancelled
        due = self._due[0][0] if self._due else inf
        if self._done or due <= min(now, sys.float_info.max):
            self._ring()
        elif due < self._alarm_at and now < inf:
            self._alarm_at = due
            self._clock.call_later(due - now, self._on_alarm)

    def _carry_out_due(self, now: float) -> None:
        while self._due and self._due[0][0] <= now and len(self._done) < _REAP_LIMIT:
            _, _, token = heappop(self._due)
            op = self._under_way.get(token)
            if op is None or self._try(op):
                continue
            # Nobody asks a second time for the end of one whose cancellation came too late.
            if op.is_cancelled and self._device.lets_cancel(op.request, self._last, True):
                self._complete(op, -errno.ECANCELED)
            else:
                self._wait_for_stream(op)

    def _try(self, op: _UnderWay) -> bool:
        """Carry out what `op` asks for; False if it would have to wait."""
        result = self._device.carry_out(op.request, self._last)
        if result is None:
            return False
        self._complete(op, result)
        return True

    def _complete(self, op: _UnderWay, result: int) -> None:
        """Note the result, of an op or of a step."""
        if op.steps is not None:
            if op.steps.note(result):
                op.request = step_request(op.steps)
                self._begin([op], self._last)
                return
            result = op.steps.result()
        del self._under_way[op.token]
        self._done.append((op.token, result, op.entry, self._last))

    # -- taking on

    def _take_on(self, ops: Sequence[tuple[int, Op]], now: float) -> None:
        begun = []
        for token, op in ops:
            entry = self._counting.begin(op, self._last)
            kind, pin = op[3] & OPCODE_MASK, op[2]
            if kind == Opcode.CANCEL:
                self._done.append((token, self._cancel(op[6]), entry, self._last))
                continue
            steps = pin if kind == Opcode.CHAIN else None
            request = request_of(op) if steps is None else step_request(steps)
            self._under_way[token] = _UnderWay(token, entry, request, steps)
            begun.append(self._under_way[token])
        if begun:
            self._begin(begun, min(now, self._last))

    def _begin(self, ops: Sequence[_UnderWay], now: float) -> None:
        tokens = {id(op.request): op.token for op in ops}
        for delay, request in self._device.begin([op.request for op in ops], now):
            heappush(self._due, (now + delay, next(self._order), tokens[id(request)]))

    def _cancel(self, target: int) -> int:
        op = self._under_way.get(target)
        if op is None:
            return -errno.ENOENT
        if op.steps is not None:
            op.steps.cancelled = True
        waiting = self._streams.get(op.request.fd, [])
        if not self._device.lets_cancel(op.request, self._last, op in waiting):
            op.is_cancelled = True
            return -errno.EALREADY
        if op in waiting:
            waiting.remove(op)
            self._watch(op.request.fd)
        self._complete(op, -errno.ECANCELED)
        return 0

    # -- streams

    def _wait_for_stream(self, op: _UnderWay) -> None:
        self._streams.setdefault(op.request.fd, []).append(op)
        try:
            self._watch(op.request.fd)
        except OSError as error:  # nobody can wait for such a file
            self._streams.pop(op.request.fd)
            self._complete(op, -(error.errno or errno.EIO))

    def _watch(self, fd: int) -> None:
        """Have epoll watch for what the ops on `fd` wait for."""
        waiting = self._streams[fd]
        events = 0
        for op in waiting:
            events |= _events_of(op)
        if not waiting:
            del self._streams[fd]
            with suppress(OSError):  # it was the first, or the file was closed
                self._epoll.unregister(fd)
            return
        try:
            self._epoll.modify(fd, events)
        except FileNotFoundError:
            self._epoll.register(fd, events)

    def _look_at_streams(self, now: float) -> None:
        if now == inf:
            ready = [(fd, select.EPOLLERR) for fd in self._streams]
        else:
            ready = self._epoll.poll(0, len(self._streams) + 1)
        for fd, happened in ready:
            for op in [*self._streams.get(fd, ())]:
                wanted = _events_of(op) | select.EPOLLERR | select.EPOLLHUP
                if happened & wanted and len(self._done) < _REAP_LIMIT:
                    waiting = self._streams[fd]
                    waiting.remove(op)
                    if not self._try(op):
                        waiting.insert(0, op)
                        break  # in order of arrival
            if fd in self._streams:
                self._watch(fd)

    # -- reading at once

    def read_cached(self, fd: int, pin: Any, length: int, offset: int) -> int:  # noqa: ARG002
        """See `Port.read_cached`; no read gets past the device."""
        return -errno.EOPNOTSUPP

    # -- its end

    def detach(self) -> None:
        """See `Port.detach`."""
        self._on_detach(self)
        self.close()

    def close(self) -> None:
        """Close the fds."""
        self._device.unlisten(self._ring)
        self._is_open = False
        self._epoll.close()
        os.close(self._bell)


def _events_of(op: _UnderWay) -> int:
    return select.EPOLLIN if op.request.name == "read" else select.EPOLLOUT
