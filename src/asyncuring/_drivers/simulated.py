"""The driver whose device is an object in Python, such as a simulated disk.

It has neither threads nor rings: each port carries its ops out in its loop's own thread
(`simulated_port.py`), by asking the device.
"""

from __future__ import annotations

import errno
from itertools import count
from typing import TYPE_CHECKING, Any

from . import Counters
from .blocks import Call
from .counting import Counting
from .native import direct_alignment, pin_buffer
from .requests import StepsUnderWay
from .simulated_port import SimulatedPort

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncuring._op import CallArguments

    from . import Clock
    from .blocks import StepOp
    from .device import Device
    from .tallies import Tally

__all__ = ["SimulatedDriver"]


class SimulatedDriver:
    """The driver of one device."""

    name = "simulated"
    side_threads = 0
    # The core's, so that what is no buffer is refused in the same words.
    pin = staticmethod(pin_buffer)
    direct_alignment = staticmethod(direct_alignment)

    def __init__(self, device: Device) -> None:
        """Start a driver, which has nothing to start."""
        self._device = device
        self._tokens = count(1)
        self._counting = Counting()
        self._ports: list[SimulatedPort] = []
        self._rings_before = 0  # of ports that were detached

    def call(self, opcode: int, arguments: CallArguments, /) -> Call:
        """See `Driver.call`."""
        paths = [path.removesuffix(b"\0") for path in arguments[:2]]
        return Call(opcode, arguments._replace(path=paths[0], second_path=paths[1]))

    def vectors(self, pins: Sequence[Any], /) -> Any:
        """See `Driver.vectors`."""
        return list(pins)

    def chain(self, fd: int, steps: Sequence[StepOp], /) -> StepsUnderWay:
        """See `Driver.chain`."""
        return StepsUnderWay(fd, steps)

    def attach(self, depth: int, clock: Clock) -> SimulatedPort:  # noqa: ARG002  nothing is laid out
        """See `Driver.attach`."""
        port = SimulatedPort(self._device, clock, self._tokens, self._counting, self._detached)
        self._ports.append(port)
        return port

    def _detached(self, port: SimulatedPort) -> None:
        self._ports.remove(port)
        self._rings_before += port.rings

    def start_side_thread(self, number: int) -> int:
        """See `Driver.start_side_thread`; there are none."""
        raise OSError(errno.EOPNOTSUPP, f"a simulated driver has no side thread {number}")

    def region(self, number: int, /) -> int:  # noqa: ARG002  there are no rings
        """See `Driver.region`."""
        return -errno.EOPNOTSUPP

    def counters(self) -> Counters:
        """See `Driver.counters`."""
        return Counters(rings=self._rings_before + sum(port.rings for port in [*self._ports]))

    def tallies(self, classes: int, opcodes: Sequence[int]) -> dict[tuple[int, int], Tally]:
        """See `Driver.tallies`."""
        return self._counting.tallies(classes, opcodes)

    def stop(self) -> None:
        """See `Driver.stop`; there is nothing to end."""

    def abandon(self) -> None:
        """See `Driver.abandon`."""
        for port in self._ports:
            port.close()
