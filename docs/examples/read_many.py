import asyncio

import asyncuring

PAGE_SIZE = 8192


async def main(path: str) -> None:
    async with await asyncuring.open_file(path, "w+") as uring_file:
        await uring_file.write_many_at(
            [(bytes([number]) * PAGE_SIZE, number * PAGE_SIZE) for number in range(10)]
        )
        pages = [bytearray(PAGE_SIZE) for _ in range(3)]
        places = [2 * PAGE_SIZE, 7 * PAGE_SIZE, 100 * PAGE_SIZE]
        counts = await uring_file.read_many_at(zip(pages, places, strict=True))
        print(counts, pages[0][0], pages[1][0])


asyncio.run(main("pages.db"))
