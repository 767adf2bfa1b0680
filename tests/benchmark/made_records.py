"""Records of trials with figures given by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncuring.benchmark.recording import bucket_of

if TYPE_CHECKING:
    from collections.abc import Sequence


def record(  # noqa: PLR0913  what a record is made of
    counts: Sequence[int],
    *,
    finishes_ns: Sequence[int | None] | None = None,
    seconds: float = 2.0,
    error: str | None = None,
    repeat: int = 0,
    background: Sequence[int] = (),
    errors: dict[str, int] | None = None,
    **trial: Any,
) -> dict[str, Any]:
    """Return what a trial leaves behind whose clients did so many ops, each in 1 us."""
    asked = {
        "engine": "e",
        "loop": "asyncio",
        "clients": len(counts),
        "background": len(background),
        "path": "/nowhere",
        "block_size": 8192,
        "file_size": 1 << 20,
        "direct": False,
        "duration_s": None if finishes_ns else seconds,
        "ops_per_client": max(counts) if finishes_ns else None,
        "verify": False,
        "seed": 0,
        "repeat": repeat,
        **trial,
    }
    if error:
        return {"kind": "trial", "trial": asked, "error": error}
    return {
        "kind": "trial",
        "trial": asked,
        "error": None,
        "resident_before": 1.0,
        "resident_after": 0.5,
        "seconds": seconds,
        "cpu_us": 1000.0,
        "details": {},
        "clients": [
            client(ops, finished_ns, errors)
            for ops, finished_ns in zip(counts, finishes_ns or [10**9] * len(counts), strict=True)
        ],
        "background": [client(ops, 10**9, None) for ops in background],
    }


def client(ops: int, finished_ns: int | None, errors: dict[str, int] | None) -> dict[str, Any]:
    return {
        "ops": ops,
        "bytes": ops * 8192,
        "started_ns": 0,
        "finished_ns": finished_ns if ops else None,
        "latency_ns_max": 1000 if ops else None,
        "latency_histogram": [bucket_of(1000), ops] if ops else [],
        "errors": errors or {},
    }


def interval(start_s: float, ops: int, lag_ns: int | None = None) -> dict[str, Any]:
    """Return a second of a trial's timeline."""
    return {
        "start_s": start_s,
        "seconds": 1.0,
        "ops": ops,
        "lag_histogram": None if lag_ns is None else [bucket_of(lag_ns), 100],
        "cpu_user_us": 300_000,
        "cpu_system_us": 200_000,
        "cpu_kernel_workers_us": 100_000,
        "voluntary_switches": 4000,
        "involuntary_switches": 1000,
        "rss_bytes": 50 << 20,
        "swap_bytes": 0,
    }
