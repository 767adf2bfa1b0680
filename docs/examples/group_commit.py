import asyncio

import asyncuring


async def main(path: str) -> None:
    async with await asyncuring.open_file(path, "w+") as uring_file:
        log = asyncuring.GroupCommit(uring_file, 0)

        async def client(number: int) -> None:
            for turn in range(10):
                offset = await log.append(f"client {number} turn {turn}\n".encode())
                assert offset < log.end  # and durable

        await asyncio.gather(*map(client, range(64)))
        print(log.end, log.statistics.records, "records in", log.statistics.groups, "groups")


asyncio.run(main("log"))
