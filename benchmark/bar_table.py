"""The bars as data: what is measured, against whom, and how much is wanted.

Each is a ratio of two figures of the same repeat, or, with nobody to compare with, a figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncuring.benchmark.loops import NO_LOOP
from asyncuring.benchmark.workload import READ_MANY, WRITE
from benchmark.contenders import Idle, Work

if TYPE_CHECKING:
    from collections.abc import Iterator

OPS, ALL_OPS = "ops_per_second", "all_ops_per_second"
P50, P99 = "latency_us_p50", "latency_us_p99"
CPU, SPREAD = "cpu_us_per_op", "fairness_spread"
IDLE_CPU = "idle_cpu_percent"

MEANINGS = {
    OPS: "ops/s",
    ALL_OPS: "ops/s of all",
    P50: "p50",
    P99: "p99",
    CPU: "CPU per op",
    SPREAD: "spread",
    IDLE_CPU: "idle CPU, %",
}

PEERS = ("turbofile", "urio", "pyaio", "aiofile", "uring-api")


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One row of the table: ``figure`` of ``ours``, divided by that of the best of ``against``."""

    letter: str
    what: str
    figure: str
    ours: Work | Idle
    against: tuple[Work, ...] = ()
    limit: float
    at_least: bool = True
    """False if the ratio is to stay below the limit."""
    fair: bool = False
    """Whether it is measured only against who starves no client."""

    @property
    def clients(self) -> str:
        """How many clients, for people; where there are several loops, on each of them."""
        if isinstance(self.ours, Idle):
            return "1"
        if self.ours.loops > 1:
            return f"{self.ours.loops} x {self.ours.clients // self.ours.loops}"
        return str(self.ours.clients)

    @property
    def rivals(self) -> str:
        """Who it is measured against, for people."""
        return " or ".join(work.engine for work in self.against)


def bars() -> list[Bar]:
    """Return all bars, in the order of their letters."""
    return [
        *_one_client(),
        *_many_clients(),
        *_uvloop(),
        *_peers(),
        *_ring_thread(),
        *_batches(),
        *_direct(),
        *_beside_others(),
        *_writes(),
        *_large_blocks(),
        *_background(),
    ]


def _ours(loop: str, clients: int) -> Work:
    return Work(engine="asyncuring", loop=loop, clients=clients)


def _null(loop: str, clients: int) -> Work:
    return Work(engine="null", loop=loop, clients=clients)


def _pool(loop: str, clients: int) -> Work:
    return Work(engine="thread-pool", loop=loop, clients=clients)


FIO_64 = Work(engine="fio", loop=NO_LOOP, clients=64)


def _one_client() -> Iterator[Bar]:
    for loop in ("asyncio", "trio"):
        ours = _ours(loop, 1)
        yield Bar(
            letter="a",
            what="one client",
            figure=P50,
            ours=ours,
            against=(_null(loop, 1),),
            limit=1.5,
            at_least=False,
        )
        yield Bar(
            letter="a", what="one client", figure=OPS, ours=ours, against=(_pool(loop, 1),), limit=5
        )


def _many_clients() -> Iterator[Bar]:
    for loop, limit in (("asyncio", 0.8), ("trio", 0.75)):
        for clients in (64, 400, 1200):
            ours, null = _ours(loop, clients), _null(loop, clients)
            yield Bar(
                letter="b",
                what="many clients",
                figure=OPS,
                ours=ours,
                against=(null,),
                limit=limit,
            )
            yield Bar(
                letter="b",
                what="many clients",
                figure=SPREAD,
                ours=ours,
                limit=1.05,
                at_least=False,
            )
        yield Bar(
            letter="b",
            what="many clients",
            figure=OPS,
            ours=_ours(loop, 400),
            against=(_pool(loop, 400),),
            limit=10,
        )


def _uvloop() -> Iterator[Bar]:
    for clients in (64, 400):
        for rival, limit in (
            (_null("uvloop", clients), 0.55),
            (_pool("uvloop", clients), 12),
            (FIO_64, 0.95),
        ):
            yield Bar(
                letter="c",
                what="uvloop",
                figure=OPS,
                ours=_ours("uvloop", clients),
                against=(rival,),
                limit=limit,
            )


def _peers() -> Iterator[Bar]:
    for loop in ("asyncio", "uvloop"):
        for clients in (64, 400, 1200):
            for peer in PEERS:
                yield Bar(
                    letter="d",
                    what="other packages",
                    figure=OPS,
                    ours=_ours(loop, clients),
                    against=(Work(engine=peer, loop=loop, clients=clients),),
                    limit=1.2,
                    fair=True,
                )


def _ring_thread() -> Iterator[Bar]:
    for loop in ("asyncio", "trio"):
        yield Bar(
            letter="e",
            what='cached_reads="ring", us',
            figure=P50,
            ours=Work(engine="asyncuring-ring", loop=loop, clients=1),
            limit=25,
            at_least=False,
        )
        yield Bar(
            letter="e",
            what="100 ms after the last op",
            figure=IDLE_CPU,
            ours=Idle(loop=loop),
            limit=1,
            at_least=False,
        )


def _batches() -> Iterator[Bar]:
    for loop in ("asyncio", "uvloop", "trio"):
        for clients in (64, 8):
            yield Bar(
                letter="f",
                what="read_many_at of 32, pages",
                figure=OPS,
                ours=Work(
                    engine="asyncuring",
                    loop=loop,
                    clients=clients,
                    workload=READ_MANY,
                    batch=32,
                ),
                against=(FIO_64,),
                limit=1.25,
            )


def _direct() -> Iterator[Bar]:
    for clients, limit in ((1, 0.75), (8, 0.85), (64, 0.95), (400, 0.95)):
        ours = Work(engine="asyncuring", loop="asyncio", clients=clients, direct=True)
        fio = Work(engine="fio", loop=NO_LOOP, clients=clients, direct=True)
        pool = Work(engine="thread-pool", loop="asyncio", clients=clients, direct=True)
        yield Bar(letter="g", what="O_DIRECT", figure=OPS, ours=ours, against=(fio,), limit=limit)
        yield Bar(
            letter="g",
            what="O_DIRECT",
            figure=CPU,
            ours=ours,
            against=(pool,),
            limit=0.25,
            at_least=False,
        )


def _beside_others() -> Iterator[Bar]:
    for loop in ("asyncio", "uvloop"):
        yield Bar(
            letter="h",
            what="two loops against one",
            figure=OPS,
            ours=Work(engine="asyncuring", loop=loop, clients=128, loops=2),
            against=(_ours(loop, 128),),
            limit=0.9,
        )
        yield Bar(
            letter="h",
            what="beside a busy thread",
            figure=OPS,
            ours=Work(engine="asyncuring", loop=loop, clients=64, busy_thread=True),
            against=(Work(engine="thread-pool", loop=loop, clients=64, busy_thread=True),),
            limit=2,
        )


def _writes() -> Iterator[Bar]:
    for engine, loop, limit in (("blocking", NO_LOOP, 1), ("thread-pool", "asyncio", 4)):
        yield Bar(
            letter="i",
            what="buffered overwrites",
            figure=OPS,
            ours=Work(engine="asyncuring", loop="asyncio", clients=64, workload=WRITE),
            against=(Work(engine=engine, loop=loop, clients=64, workload=WRITE),),
            limit=limit,
        )


def _large_blocks() -> Iterator[Bar]:
    def work(engine: str, loop: str) -> Work:
        return Work(engine=engine, loop=loop, clients=64, block_size=1 << 20)

    yield Bar(
        letter="j",
        what="blocks of 1 MiB",
        figure=OPS,
        ours=work("asyncuring", "asyncio"),
        against=(work("thread-pool", "asyncio"), work("blocking", NO_LOOP)),
        limit=1,
    )


def _background() -> Iterator[Bar]:
    for loop in ("asyncio", "trio"):
        alone = Work(engine="asyncuring", loop=loop, clients=8, direct=True)
        beside = Work(engine="asyncuring-classes", loop=loop, clients=8, background=64, direct=True)
        yield Bar(
            letter="k",
            what="O_DIRECT beside 64 in a class",
            figure=P99,
            ours=beside,
            against=(alone,),
            limit=2,
            at_least=False,
        )
        yield Bar(
            letter="k",
            what="O_DIRECT beside 64 in a class",
            figure=ALL_OPS,
            ours=beside,
            against=(alone,),
            limit=1,
        )
