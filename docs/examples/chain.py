import asyncio

import asyncuring


async def main(path: str) -> None:
    async with await asyncuring.open_file(path, "w+") as uring_file:
        async with uring_file.chain() as chain:
            record = chain.write_all_at(b"balance: 100\n", 0)
            chain.fdatasync()
            chain.write_all_at(b"committed\n", 4096)
            sync = chain.fdatasync()
        print(record.result, sync.skipped)


asyncio.run(main("log"))
