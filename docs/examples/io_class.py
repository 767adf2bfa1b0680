import asyncio

import asyncuring

PAGE, PAGES = 8192, 100
COMPACTION = asyncuring.IoClass("compaction", shares=20, bytes_per_second=50_000_000)


async def compact(tables: asyncuring.UringFile) -> None:
    reads = (tables.read_at(bytearray(PAGE), page * PAGE) for page in range(PAGES))
    await asyncio.gather(*reads)  # tasks of the class, as the one that starts them


async def main(path: str) -> None:
    async with await asyncuring.open_file(path, "w+") as tables:
        await tables.write_all_at(bytes(PAGES * PAGE), 0)
        with COMPACTION:
            compaction = asyncio.create_task(compact(tables))
        print(await tables.read_at(bytearray(PAGE), 3 * PAGE))
        await compaction


asyncio.run(main("tables"))
