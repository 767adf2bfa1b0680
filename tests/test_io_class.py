"""Classes of IO: who is in which, who is served when, and what cannot be one."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

import asyncuring
from asyncuring import IoClass, UringFile, _flows, _io_class, open_file
from tests.running import Task, gather, in_trio, until

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run

ONE, THREE = IoClass("one", 100), IoClass("three", 300)


@pytest.fixture
def endless_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class that was at work once stays so, however slow the machine is."""
    monkeypatch.setattr(_flows, "GRACE_NS", 10**15)


def reads_of(io_class: IoClass | str) -> tuple[int, int]:
    """How many reads of a class are in flight, and how many wait."""
    name = io_class if isinstance(io_class, str) else io_class.name
    for driver in asyncuring.statistics().drivers:
        for operation in driver.operations:
            if (operation.opcode, operation.io_class) == ("read", name):
                return operation.in_flight, operation.backlog
    return 0, 0


async def read_in(io_class: IoClass, uring_file: UringFile, buf: bytearray | None = None) -> int:
    with io_class:
        return await uring_file.read_at(bytearray(1) if buf is None else buf, 0)


async def until_reads(io_class: IoClass, in_flight: int, backlog: int) -> None:
    await until(lambda: reads_of(io_class) == (in_flight, backlog))


# -- who is in which class


def test_a_task_is_in_the_innermost_class(run: Run, driver: DriverName, fifo: Path) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:

            async def count_of(name: str) -> int:
                os.write(uring_file.fileno(), b"!")
                await uring_file.read_at(bytearray(1), 0)
                return next(
                    operation.count
                    for operation in asyncuring.statistics().drivers[0].operations
                    if (operation.opcode, operation.io_class) == ("read", name)
                )

            assert await count_of("default") == 1
            with ONE:
                assert await count_of("one") == 1
                with THREE, ONE, THREE:
                    assert await count_of("three") == 1
                with ONE as same:
                    assert same is ONE
                    assert await count_of("one") == 2
                assert await count_of("one") == 3
                with pytest.raises(KeyError), THREE:
                    raise KeyError
                assert await count_of("one") == 4
            assert await count_of("default") == 2

    run(main)


def test_tasks_are_in_the_class_in_which_they_were_started(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:

            async def read() -> None:
                await uring_file.read_at(bytearray(1), 0)

            async def check() -> None:
                await until_reads(ONE, 2, 0)
                await until_reads(THREE, 1, 0)
                assert reads_of("default") == (0, 0)
                os.write(uring_file.fileno(), b"123")

            await start_in_classes([(ONE, read), (THREE, read), (ONE, read)], check)

    run(main)


async def start_in_classes(tasks: list[tuple[IoClass, Any]], then: Any) -> None:
    """As programs do: a nursery, or asyncio's tasks."""
    if in_trio():
        import trio

        async with trio.open_nursery() as nursery:
            for io_class, function in tasks:
                with io_class:
                    nursery.start_soon(function)
            await then()
    else:
        running = []
        for io_class, function in tasks:
            with io_class:
                running.append(asyncio.get_running_loop().create_task(function()))
        await then()
        await asyncio.gather(*running)


# -- who is served when


@pytest.mark.usefixtures("endless_grace")
def test_shares_of_three_to_one_give_ops_of_three_to_one(
    run: Run, driver: DriverName, file: Path
) -> None:
    async def main() -> None:
        order: list[str] = []
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:

            async def read(io_class: IoClass) -> None:
                await read_in(io_class, uring_file)
                order.append(io_class.name)

            tasks = [Task.start(read, io_class) for _ in range(200) for io_class in (ONE, THREE)]
            for task in tasks:
                await task.join()
        # The device may end them in another order, but no more of them than the window holds.
        window = _flows.WINDOW // _flows.OP_COST
        for end in range(20, 240, 20):
            assert abs(Counter(order[:end])["one"] - end // 4) <= window

    run(main)


@pytest.mark.usefixtures("endless_grace")
def test_what_is_in_flight_is_divided_by_shares(run: Run, driver: DriverName, fifo: Path) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            tasks = [
                Task.start(read_in, io_class, uring_file)
                for _ in range(30)
                for io_class in (ONE, THREE)
            ]
            # The class in which the file was opened finds its part free all the time.
            window = _flows.WINDOW // _flows.OP_COST * 4 / 5

            def is_full() -> bool:
                (one, some), (three, others) = reads_of(ONE), reads_of(THREE)
                assert one + three <= window * 4 / 3  # who was served late may catch up
                return one + three >= window or not (some and others)

            await until(lambda: sum(map(sum, map(reads_of, (ONE, THREE)))) == 60)
            for ended in range(60):
                await until(is_full)
                if ended == 0:
                    assert reads_of(THREE)[0] == 3 * reads_of(ONE)[0]
                os.write(uring_file.fileno(), b"!")
                await until(lambda: sum(task.done for task in tasks) > ended)  # noqa: B023  now
            assert [await task.join() for task in tasks] == [1] * 60

    run(main)


def test_a_class_alone_has_the_whole_depth(run: Run, driver: DriverName, fifo: Path) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            tasks = [Task.start(read_in, ONE, uring_file) for _ in range(300)]
            await until_reads(ONE, 256, 44)
            os.write(uring_file.fileno(), bytes(300))
            assert [await task.join() for task in tasks] == [1] * 300

    run(main)


def test_a_class_whose_ops_hang_holds_nobody_up(
    run: Run, driver: DriverName, fifo: Path, file: Path
) -> None:
    """Its reads keep a thread each, with that driver; so they are few."""

    async def main() -> None:
        async with (
            await open_file(fifo, "r+", driver=driver, cached_reads="ring") as stream,
            await open_file(file, driver=driver, cached_reads="ring") as uring_file,
        ):
            hanging = [Task.start(read_in, ONE, stream) for _ in range(100)]
            tasks = [Task.start(read_in, THREE, uring_file) for _ in range(100)]
            assert [await task.join() for task in tasks] == [1] * 100
            os.write(stream.fileno(), bytes(100))
            assert [await task.join() for task in hanging] == [1] * 100

    run(main)


# -- what cannot be a class


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shares": 0}, "shares must be between 1 and 10000, not 0"),
        ({"shares": 10_001}, "shares must be between 1 and 10000, not 10001"),
        ({"depth": 0}, "depth must be 1 or more, or None, not 0"),
        ({"ops_per_second": 0}, "ops_per_second must be between 1e-09"),
        (
            {"bytes_per_second": -1},
            "bytes_per_second must be between 1e-09",
        ),
        ({"bytes_per_second": float("nan")}, "must be between 1e-09 and 1e\\+18, or None, not nan"),
        ({"bytes_per_second": 5e-324}, "must be between 1e-09 and 1e\\+18, or None, not 5e-324"),
        ({"ops_per_second": 10**400}, "ops_per_second must be between 1e-09 and 1e\\+18"),
        ({"bytes_per_second": float("inf")}, "must be between 1e-09 and 1e\\+18, or None, not inf"),
    ],
)
def test_numbers_out_of_range(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        IoClass("refused", **arguments)


@pytest.mark.parametrize(
    "arguments", [{"shares": 1.5}, {"depth": 2.0}, {"name": 3}, {"ops_per_second": "fast"}]
)
def test_arguments_of_wrong_types(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        IoClass(**{"name": "refused", **arguments})


def test_shares_and_depth_may_be_of_any_integer_type(run: Run, file: Path) -> None:
    class Two:
        def __index__(self) -> int:
            return 2

    async def main() -> None:
        two: Any = Two()
        async with await open_file(file, cached_reads="ring") as uring_file:
            with IoClass("two", shares=two, depth=two):
                counts = await gather(lambda _: uring_file.read_at(bytearray(4), 0), 4)
            assert counts == [4] * 4

    run(main)


def test_a_process_has_one_class_of_a_name() -> None:
    first = IoClass("compaction", 20, depth=8, ops_per_second=1000)
    assert IoClass("compaction", shares=20, depth=8, ops_per_second=1000) is first
    assert (first.name, first.shares) == ("compaction", 20)
    text = "asyncuring.IoClass('compaction', shares=20, depth=8, ops_per_second=1000)"
    assert repr(first) == text
    with pytest.raises(ValueError, match="there is a class 'compaction' with other numbers"):
        IoClass("compaction", 21, depth=8, ops_per_second=1000)


def test_too_many_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_io_class, "_classes", {"default": _io_class.DEFAULT})
    classes = [IoClass(f"class {number}") for number in range(31)]
    assert [io_class.number for io_class in classes] == list(range(1, 32))
    with pytest.raises(ValueError, match="there are 32 classes in this process"):
        IoClass("one too many")
    assert IoClass("class 7") is classes[7]
