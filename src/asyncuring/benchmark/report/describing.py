"""Settings in words, as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from asyncuring.benchmark.report.combination import Setting

SIZES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "bytes"))


def describe(setting: Setting, names: Iterable[str]) -> list[str]:
    """Return the fields ``names`` of the setting, in a few words each where there are any."""
    values = ((PHRASES[name], getattr(setting, name)) for name in names)
    return [words for phrase, value in values if value is not None and (words := phrase(value))]


def size(count: int) -> str:
    """Return, for example, ``8 KiB``: in the largest unit that keeps it a whole number."""
    unit, name = next((unit, name) for unit, name in SIZES if count % unit == 0)
    return f"{count // unit} {name}"


def duration(seconds: float) -> str:
    """Return, for example, ``1.5 s`` or ``500 ms``."""
    return f"{seconds * 1000:g} ms" if seconds < 1 else f"{seconds:g} s"


PHRASES: dict[str, Callable[[Any], str]] = {
    "workload": str,
    "background": lambda clients: f"beside {clients}" if clients else "",
    "busy_thread": lambda busy: "beside a busy thread" if busy else "",
    "batch": lambda blocks: f"{blocks} blocks per await" if blocks > 1 else "",
    "pipeline": lambda lanes: f"{lanes} ops in flight per client" if lanes > 1 else "",
    "offsets": lambda name: f"{name} offsets",
    "read_share": lambda share: f"{share:.0%} reads" if 0 < share < 1 else "",
    "think_s": lambda seconds: f"{duration(seconds)} between ops" if seconds else "",
    "files": lambda name: f"{name} file",
    "block_size": lambda count: f"blocks of {size(count)}",
    "file_size": lambda count: f"{size(count)} file",
    "direct": lambda direct: "O_DIRECT" if direct else "cached",
    "memory_limit": lambda count: f"memory limited to {size(count)}",
    "duration_s": lambda seconds: f"trials of {duration(seconds)}",
    "ops_per_client": lambda count: f"{count} ops per client",
    "verify": lambda verify: "verified" if verify else "",
}
"""One for each field of `Setting`."""
