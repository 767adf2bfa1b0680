import asyncio

from pages import Pages


async def main() -> None:
    pages = await Pages.create("pages.db")
    await asyncio.gather(*(pages.write(n, b"page %d" % n) for n in range(1000)))
    await pages.commit()
    bodies = await asyncio.gather(*(pages.read(n) for n in range(1000)))
    assert bodies[42].startswith(b"page 42\0")
    print(len(bodies), "pages written, made durable, and read back")
    await pages.aclose()


asyncio.run(main())
