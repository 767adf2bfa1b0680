"""Bad input is refused at the call, and nothing is queued."""

from __future__ import annotations

import array
import mmap
import re
import threading
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pytest

import asyncuring
from asyncuring import ClosedFileError, open_file
from tests.conftest import PATTERN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run


def closed_mmap() -> mmap.mmap:
    closed = mmap.mmap(-1, 4096)
    closed.close()
    return closed


def released_view() -> memoryview:
    view = memoryview(bytearray(8))
    view.release()
    return view


Refusal: TypeAlias = tuple[type[Exception], str]

UNUSABLE: list[tuple[Callable[[], Any], Refusal]] = [
    (lambda: 7, (TypeError, "a buffer .* is needed, not int")),
    (lambda: "text", (TypeError, "a buffer .* is needed, not str")),
    (lambda: [bytearray(8)], (TypeError, "a buffer .* is needed, not list")),
    (lambda: memoryview(bytearray(8))[::2], (BufferError, "not C-contiguous")),
    (lambda: memoryview(bytearray(8))[::-1], (BufferError, "not C-contiguous")),
    (lambda: np.zeros((4, 4))[:, 1], (BufferError, "not C-contiguous")),
    (lambda: np.zeros((4, 4), order="F"), (BufferError, "not C-contiguous")),
    (lambda: np.array([None, "x"]), (TypeError, "Python objects")),
    (lambda: np.zeros(2, [("a", "i4"), ("b", "O")]), (TypeError, "Python objects")),
    (closed_mmap, (ValueError, "closed")),
    (released_view, (ValueError, "released")),
]
READ_ONLY: list[Any] = [
    b"fixed",
    memoryview(b"fixed"),
    np.frombuffer(b"fixed", dtype=np.uint8),
    mmap.mmap(-1, 4096, access=mmap.ACCESS_READ),
]
READING = ["read_at", "read_exactly_at"]
ALL = [*READING, "write_at", "write_all_at"]


async def refuse(
    path: Path, driver: DriverName, cases: Iterable[tuple[str, Any, Any, Refusal]]
) -> None:
    """Check that each (method, buffer, offset) is refused, at once, and that nothing is queued."""
    async with await open_file(path, "r+", driver=driver, cached_reads="ring") as uring_file:
        before = asyncuring.statistics().ops_submitted
        for method, buf, off, (error, said) in cases:
            with pytest.raises(error, match=said):
                await getattr(uring_file, method)(buf, off)
            after = asyncuring.statistics()
            assert (after.ops_submitted, after.backlog) == (before, 0)
        assert path.read_bytes() == PATTERN


@pytest.mark.parametrize("method", ALL)
def test_buffers_that_cannot_be_used_are_refused(
    run: Run, driver: DriverName, file: Path, method: str
) -> None:
    run(refuse, file, driver, [(method, make(), 0, refusal) for make, refusal in UNUSABLE])


@pytest.mark.parametrize("method", READING)
def test_nothing_is_read_into_what_is_read_only(
    run: Run, driver: DriverName, file: Path, method: str
) -> None:
    refusal = (BufferError, "writable buffer is needed|read-only")
    run(refuse, file, driver, [(method, buf, 0, refusal) for buf in READ_ONLY])


@pytest.mark.parametrize("method", ALL)
def test_offsets_that_no_file_has_are_refused(
    run: Run, driver: DriverName, file: Path, method: str
) -> None:
    buf = bytearray(8)
    too_far = (ValueError, "offset must be between 0 and 2\\*\\*63 - 1")
    no_number = (TypeError, "cannot be interpreted as an integer")
    cases: list[Any] = [(method, buf, off, too_far) for off in (-1, 2**63, 2**64)]
    cases += [(method, buf, off, no_number) for off in (1.0, "0", None)]
    run(refuse, file, driver, cases)
    buf.append(0)  # nobody keeps it exported


def test_offsets_of_any_integer_type_are_taken(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        buf = bytearray(2)
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:
            off: Any = np.int64(66)
            assert await uring_file.read_at(buf, off) == 2
            assert buf == b"BC"
            assert await uring_file.read_at(buf, 2**63 - 1 - 2) == 0

    run(main)


def test_a_closed_file_refuses_everything(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, driver=driver, cached_reads="ring"):
            uring_file = await open_file(file, "r+", driver=driver, cached_reads="ring")
            await uring_file.read_at(bytearray(1), 0)
            await uring_file.aclose()
            before = asyncuring.statistics().ops_submitted
            for call in [*ALL, "fsync", "fdatasync"]:
                arguments: list[Any] = [bytearray(8), 0] if call in ALL else []
                with pytest.raises(ClosedFileError, match="is closed") as caught:
                    await getattr(uring_file, call)(*arguments)
                assert isinstance(caught.value, ValueError)
            assert asyncuring.statistics().ops_submitted == before

    run(main)


def test_unknown_modes_are_refused(run: Run, file: Path) -> None:
    async def main() -> None:
        modes: list[Any] = ["at", "rb", "w", ""]
        for mode in modes:
            with pytest.raises(ValueError, match="mode must be one of 'r', 'r\\+', 'w\\+'"):
                await open_file(file, mode)

    run(main)
    assert asyncuring.statistics().drivers == ()


@pytest.mark.parametrize("permissions", [-1, 0o10000])
def test_permissions_that_do_not_exist_are_refused(run: Run, file: Path, permissions: int) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="permissions must be between 0 and 0o7777"):
            await open_file(file, "w+", permissions=permissions)

    run(main)
    assert file.stat().st_size > 0


@pytest.mark.parametrize("path", ["with\0nul", b"with\0nul"])
def test_a_path_with_a_nul_byte_is_refused(run: Run, path: Any) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="null byte"):
            await open_file(path)

    run(main)


@pytest.mark.parametrize("path", [3, None, array.array("b")])
def test_a_path_is_a_path(run: Run, path: Any) -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match="PathLike"):
            await open_file(path)

    run(main)


@pytest.mark.parametrize("driver", ["magic", "", 1, threading.Lock])
def test_an_unknown_driver_is_refused(run: Run, file: Path, driver: Any) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match=f"there is no driver {re.escape(repr(driver))}"):
            await open_file(file, driver=driver, cached_reads="ring")

    run(main)
