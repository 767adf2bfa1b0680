import asyncio

import asyncuring


async def main(path: str) -> None:
    async with await asyncuring.open_file(path, "w+") as uring_file:
        await uring_file.write_all_at(bytes(8192), 0)
        page = bytearray(8192)
        try:
            await asyncio.wait_for(uring_file.read_at(page, 0), 0.5)
        except asyncio.TimeoutError:
            print("too late")
        page.append(0)  # the buffer is ours again, whatever came of the read


asyncio.run(main("pages.db"))
