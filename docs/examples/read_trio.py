import trio

import asyncuring


async def main(path: str) -> None:
    async with await asyncuring.open_file(path, "w+") as uring_file:
        await uring_file.write_all_at(b"one!" * 2048 + b"two!" * 2048, 0)
        await uring_file.fdatasync()
        page = bytearray(8192)
        count = await uring_file.read_at(page, 8192)
        print(count, bytes(page[:4]))


trio.run(main, "pages.db")
