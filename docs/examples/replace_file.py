import asyncio

import asyncuring


async def main(path: str) -> None:
    await asyncuring.replace_file(path, b"segments: 1 2 3\n", permissions=0o600)
    await asyncuring.replace_file(path, b"segments: 2 3 4\n", permissions=0o600)
    async with await asyncuring.open_file(path) as manifest:
        line = bytearray(16)
        await manifest.read_exactly_at(line, 0)
        print(line.decode(), end="")


asyncio.run(main("MANIFEST"))
