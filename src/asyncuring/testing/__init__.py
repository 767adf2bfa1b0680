"""For tests of programs that use asyncuring: a simulated disk, its power cuts, and virtual time."""

from ._clock import VirtualTimeLoop, run
from ._crash import CrashState
from ._crash_test import CrashTestError, crash_test
from ._disk import SimulatedDisk
from ._trace import Event, Trace

__all__ = [
    "CrashState",
    "CrashTestError",
    "Event",
    "SimulatedDisk",
    "Trace",
    "VirtualTimeLoop",
    "crash_test",
    "run",
]
