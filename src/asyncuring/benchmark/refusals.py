"""What of a sweep can be told to be wrong before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncuring.benchmark import dataset
from asyncuring.benchmark.engines import ENGINES
from asyncuring.benchmark.loops import refuse_missing_loop
from asyncuring.benchmark.memory_limit import refuse_without_memory_limit
from asyncuring.benchmark.refusal import RefusalError
from asyncuring.benchmark.system_calls import refuse_without_strace
from asyncuring.benchmark.workload import MIX, PER_CLIENT, READ_MANY, SHARED, UNIFORM, WORKLOADS

if TYPE_CHECKING:
    from asyncuring.benchmark.sweep import Sweep


def refuse(sweep: Sweep) -> None:
    """Refuse what cannot be measured, or not here."""
    if sweep.block_size < dataset.BLOCK_BYTES_MIN:
        raise RefusalError(f"--block-size is below {dataset.BLOCK_BYTES_MIN} bytes")
    if sweep.file_size % sweep.block_size:
        raise RefusalError("--file-size is not a multiple of --block-size")
    for loop in sweep.loops:
        refuse_missing_loop(loop)
    _refuse_work(sweep)
    _refuse_asking(sweep)
    _refuse_meters(sweep)
    for name in sweep.engines:
        _refuse_engine(name, sweep)


def _refuse_work(sweep: Sweep) -> None:
    """Refuse what no engine could do."""
    if sweep.batch > 1 and sweep.workload != READ_MANY:
        raise RefusalError(f"--batch belongs to --workload {READ_MANY}")
    if sweep.ops_per_client is not None and sweep.ops_per_client % sweep.batch:
        raise RefusalError(f"--ops-per-client is not a multiple of the batch of {sweep.batch}")
    if any(sweep.background) and sweep.duration_s is None:
        raise RefusalError("--background has clients that never end; so --ops-per-client cannot be")
    if sweep.loops_per_trial > min(sweep.clients):
        raise RefusalError(
            f"{sweep.loops_per_trial} loops need at least as many clients, not {min(sweep.clients)}"
        )


def _refuse_asking(sweep: Sweep) -> None:
    """Refuse ways of asking that the workload does not have."""
    workload = WORKLOADS[sweep.workload]
    if sweep.workload != MIX and sweep.read_share != workload.read_share:
        raise RefusalError(f"--read-share belongs to --workload {MIX}")
    if workload.in_order and sweep.offsets != UNIFORM:
        raise RefusalError(f"the workload {sweep.workload} goes in order; no --offsets")
    if workload.one_log and sweep.loops_per_trial > 1:
        raise RefusalError("a log that all clients share belongs to one loop; no --loops")
    if sweep.files == PER_CLIENT and (workload.one_log or workload.small_files):
        raise RefusalError(f"the workload {sweep.workload} has no --files {PER_CLIENT}")
    blocks = sweep.file_size // sweep.block_size
    clients = max(sweep.clients) + max(sweep.background)
    if sweep.files == PER_CLIENT and blocks < clients:
        raise RefusalError(f"--file-size has {blocks} blocks, too few for {clients} clients")
    places = blocks // clients if sweep.files == PER_CLIENT else blocks
    lanes = sweep.pipeline if sweep.files == PER_CLIENT else clients * sweep.pipeline
    if workload.in_order and places < lanes:
        raise RefusalError(f"a file has {places} blocks, too few for {lanes} ops in flight")
    if sweep.duration_s is not None and sweep.think_s >= sweep.duration_s:
        raise RefusalError("--think is as long as the --duration")


def _refuse_meters(sweep: Sweep) -> None:
    """Refuse what this machine does not let us count, or limit."""
    if sweep.system_calls:
        if any(sweep.background):
            raise RefusalError("--system-calls has fixed work, but a --background never ends")
        refuse_without_strace()
    if sweep.memory_limit is not None:
        refuse_without_memory_limit(sweep.memory_limit)


def _refuse_engine(name: str, sweep: Sweep) -> None:
    """Refuse what this engine cannot do."""
    engine = ENGINES[name]
    if sweep.direct and not engine.direct:
        raise RefusalError(f"the engine {name} cannot go past the page cache with --direct")
    if not engine.does(sweep.workload):
        raise RefusalError(f"the engine {name} does no {sweep.workload}")
    if engine.run and not engine.loops and (sweep.think_s or sweep.files != SHARED):
        raise RefusalError(f"the engine {name} is another program; no --think and no --files")
    if any(sweep.background) and not engine.open_async:
        raise RefusalError(f"the engine {name} has no tasks, so none in the --background")
    if engine.loops and not set(engine.loops) & set(sweep.loops):
        raise RefusalError(f"the engine {name} runs on {' and '.join(engine.loops)} alone")
    if missing := engine.missing():
        raise RefusalError(f"the engine {name} cannot run: {missing}")
