"""A first sign of life from an installed wheel: write a page, read it back, name the driver."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

import asyncuring


async def main() -> None:
    page = os.urandom(8192)
    target = bytearray(len(page))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pages"
        async with await asyncuring.open_file(path, "w+") as uring_file:
            written = await uring_file.write_at(page, 8192)
            read = await uring_file.read_at(target, 8192)
            print(asyncuring.statistics())
    if not (written == read == len(page) and target == page):
        message = f"wrote {written}, read {read}, equal: {target == page}"
        raise SystemExit(message)
    print(f"{asyncuring.__file__}: a page went out and came back")


asyncio.run(main())
