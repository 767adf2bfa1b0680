"""`python -m tests.soak`: many clients for a long time, and everything that is read verified.

It ends by itself 30 s after its time whatever happens, with the stacks of its threads.
"""

from __future__ import annotations

import argparse
import faulthandler
import sys
from typing import TYPE_CHECKING, get_args

from asyncuring._runtime import DriverName
from tests.soak.kill import kill_again_and_again
from tests.soak.recorded import kill_attack, soak_attack
from tests.soak.segments import Soak
from tests.soak.table import Bar, bars_of, growth, table
from tests.stress.attacks import write_attacks

if TYPE_CHECKING:
    from collections.abc import Sequence

DRIVERS: tuple[DriverName, ...] = get_args(DriverName)
LOOPS = ("asyncio", "uvloop", "trio")
CLIENTS = 1200
GRACE_SECONDS = 30


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--duration", type=float, default=600, metavar="SECONDS")
    parser.add_argument("--driver", choices=DRIVERS, help="instead of taking turns")
    parser.add_argument("--loop", choices=LOOPS, help="instead of taking turns")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kill", action="store_true", help="kill a process instead, many times")
    parser.add_argument("--record-attacks", action="store_true", help="into docs/attacks.csv")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak; return the exit status."""
    options = parse(arguments)
    faulthandler.dump_traceback_later(options.duration + GRACE_SECONDS, exit=True)
    drivers = [options.driver] if options.driver else DRIVERS
    loops = [options.loop] if options.loop else LOOPS
    if options.kill:
        tally, rounds = kill_again_and_again(options.duration, drivers, loops, options.seed)
        bars = bars_of(tally)
        attack = kill_attack(drivers, loops, options.duration, tally, bars, rounds)
    else:
        soak = Soak(CLIENTS, options.seed)
        soak.run(options.duration, drivers, loops)
        tally, rounds = soak.tally, {"segments": soak.segments}
        bars = [*bars_of(tally), *growth(soak.warm, soak.end)]
        attack = soak_attack(CLIENTS, drivers, loops, options.duration, tally, bars)
    sys.stdout.write(table(tally, bars, rounds))
    if options.record_attacks:
        write_attacks([attack])
    faulthandler.cancel_dump_traceback_later()
    return exit_status(bars)


def exit_status(bars: Sequence[Bar]) -> int:
    """1 if one is missed."""
    return 0 if all(bar.is_met for bar in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
