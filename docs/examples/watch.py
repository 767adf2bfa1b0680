import asyncio
import logging

import asyncuring


async def watch(seconds: float) -> None:
    """Say now and then how long the reads of the last moments took."""
    before: dict[tuple[str, str], asyncuring.OperationStatistics] = {}
    while True:
        await asyncio.sleep(seconds)
        for driver in asyncuring.statistics().drivers:
            for operation in driver.operations:
                key = operation.opcode, operation.io_class
                lately = operation.kernel_seconds
                if key in before:
                    lately = lately.since(before[key].kernel_seconds)
                before[key] = operation
                print(*key, lately.total, f"p99 {lately.quantile(0.99) * 1e6:.0f} us")


async def main(path: str) -> None:
    asyncuring.log_slow_ops(0.5)
    watching = asyncio.create_task(watch(0.1))
    async with await asyncuring.open_file(path, "w+", cached_reads="ring") as uring_file:
        page = bytearray(8192)
        for number in range(1000):
            await uring_file.write_at(page, number * len(page))
            await uring_file.read_at(page, number * len(page))
        print(asyncuring.statistics())
    watching.cancel()


logging.basicConfig()
asyncio.run(main("pages.db"))
