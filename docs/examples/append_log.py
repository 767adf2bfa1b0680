import asyncio

import asyncuring


async def main(path: str) -> None:
    async with await asyncuring.open_file(path, "a") as log:
        await log.lock(wait=False)  # one writer: BlockingIOError if there is another
        before = (await log.stat()).size
        await log.allocate(before, 1 << 20, keep_size=True)
        count = await log.append(b"begin 1\n", durable=True)
        count += await log.append(b"commit 1\n", durable=True)
        print(count, (await log.stat()).size - before)


asyncio.run(main("commits.log"))
