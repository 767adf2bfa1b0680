import asyncio

import asyncuring

PAGE_SIZE = 8192


async def checksum(
    pool: asyncuring.BufferPool, uring_file: asyncuring.UringFile, number: int
) -> int:
    async with pool.lease() as page:
        await uring_file.read_exactly_at(page, number * PAGE_SIZE)
        return sum(page) & 0xFFFF


async def main(path: str) -> None:
    with asyncuring.BufferPool(PAGE_SIZE, 16) as pool:
        async with await asyncuring.open_file(path, "w+") as uring_file:
            await uring_file.write_all_at(bytes(range(256)) * 3200, 0)
            pages = (checksum(pool, uring_file, number) for number in range(100))
            print(await asyncio.gather(*pages))


asyncio.run(main("pages.db"))
