import trio
from pages import Pages


async def main() -> None:
    pages = await Pages.create("pages.db")
    async with trio.open_nursery() as nursery:
        for n in range(1000):
            nursery.start_soon(pages.write, n, b"page %d" % n)
    await pages.commit()
    bodies: dict[int, bytes] = {}

    async def read(n: int) -> None:
        bodies[n] = await pages.read(n)

    async with trio.open_nursery() as nursery:
        for n in range(1000):
            nursery.start_soon(read, n)
    assert bodies[42].startswith(b"page 42\0")
    print(len(bodies), "pages written, made durable, and read back")
    await pages.aclose()


trio.run(main)
