"""`open_file`: modes, permissions, names, errors, direct IO and the choice of a driver."""

from __future__ import annotations

import errno
import mmap
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

import asyncuring
from asyncuring import open_file
from asyncuring._runtime import lease
from tests.kernel import insists_on_alignment
from tests.running import under_umask
from tests.scripts import output_of

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run


def test_r_reads_and_does_not_write(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:
            assert await uring_file.read_at(bytearray(10), 0) == 10
            with pytest.raises(OSError, match="Bad file descriptor") as caught:
                await uring_file.write_at(b"no", 0)
            assert caught.value.errno == errno.EBADF

    run(main)


def test_r_plus_keeps_what_is_there(run: Run, driver: DriverName, file: Path) -> None:
    before = file.read_bytes()

    async def main() -> None:
        async with await open_file(file, "r+", driver=driver, cached_reads="ring") as uring_file:
            assert await uring_file.write_at(b"new", 1) == 3

    run(main)
    assert file.read_bytes() == before[:1] + b"new" + before[4:]


@pytest.mark.parametrize("exists", [True, False])
def test_w_plus_starts_with_an_empty_file(
    run: Run,
    driver: DriverName,
    file: Path,
    exists: bool,
) -> None:
    if not exists:
        file.unlink()

    async def main() -> None:
        async with await open_file(file, "w+", driver=driver, cached_reads="ring") as uring_file:
            assert await uring_file.read_at(bytearray(10), 0) == 0
            await uring_file.write_all_at(b"all", 0)

    run(main)
    assert file.read_bytes() == b"all"


def test_x_plus_creates_the_file_or_fails(run: Run, driver: DriverName, tmp_path: Path) -> None:
    path = tmp_path / "new"

    async def main() -> None:
        async with await open_file(path, "x+", driver=driver, cached_reads="ring") as uring_file:
            await uring_file.write_all_at(b"first", 0)
        with pytest.raises(FileExistsError) as caught:
            await open_file(path, "x+", driver=driver, cached_reads="ring")
        assert caught.value.filename == str(path)

    run(main)
    assert path.read_bytes() == b"first"


@pytest.mark.parametrize("modes", [(0o666, 0o022, 0o644), (0o640, 0, 0o640), (0o600, 0, 0o600)])
def test_permissions_are_less_the_umask(
    run: Run, driver: DriverName, tmp_path: Path, modes: tuple[int, int, int]
) -> None:
    asked, umask, got = modes
    path = tmp_path / "new"

    async def main() -> None:
        async with await open_file(
            path, "x+", permissions=asked, driver=driver, cached_reads="ring"
        ):
            pass

    with under_umask(umask):
        run(main)
    assert stat.S_IMODE(path.stat().st_mode) == got


CANNOT_BE_OPENED: list[tuple[str, Any, type[OSError]]] = [
    ("missing", "r", FileNotFoundError),
    ("missing", "r+", FileNotFoundError),
    ("missing/new", "x+", FileNotFoundError),
    ("file/below", "r", NotADirectoryError),
    ("", "r+", IsADirectoryError),
    ("loop", "r", OSError),
]


@pytest.mark.parametrize("case", CANNOT_BE_OPENED, ids=lambda case: f"{case[0]}-{case[1]}")
def test_what_cannot_be_opened_says_why_and_which(
    run: Run, driver: DriverName, file: Path, case: tuple[str, Any, type[OSError]]
) -> None:
    name, mode, error = case
    path = file.parent / name
    (file.parent / "loop").symlink_to("loop")

    async def main() -> None:
        with pytest.raises(error) as caught:
            await open_file(path, mode, driver=driver, cached_reads="ring")
        assert caught.value.filename == str(path)
        assert caught.value.errno
        assert caught.value.strerror == os.strerror(caught.value.errno)

    run(main)


def test_a_directory_can_be_opened_and_not_read(
    run: Run, driver: DriverName, tmp_path: Path
) -> None:
    """As open(2) has it; fsync of a directory makes a new name durable."""

    async def main() -> None:
        async with await open_file(tmp_path, driver=driver, cached_reads="ring") as directory:
            await directory.fsync()
            with pytest.raises(IsADirectoryError):
                await directory.read_at(bytearray(1), 0)

    run(main)


def test_names_are_kept_as_they_were_given(
    run: Run, driver: DriverName, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    odd = os.fsencode(file.parent) + b"/\xff\xfe"
    os.link(file, odd)
    names: list[Any] = [file, str(file), os.fsencode(file), "file", odd, os.fsdecode(odd)]

    async def main() -> None:
        for name in names:
            async with await open_file(name, driver=driver, cached_reads="ring") as uring_file:
                assert uring_file.name == os.fspath(name)
                assert await uring_file.read_at(bytearray(1), 0) == 1
                with pytest.raises(asyncuring.EndOfFileError):
                    await uring_file.read_exactly_at(bytearray(1), 1 << 20)

    run(main)


def test_programs_that_are_started_do_not_inherit_the_file(
    run: Run, driver: DriverName, file: Path
) -> None:
    async def main() -> None:
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:
            assert not os.get_inheritable(uring_file.fileno())

    run(main)


def test_opening_is_audited(driver: DriverName, file: Path) -> None:
    said = output_of(
        """
        sys.addaudithook(
            lambda event, arguments: event == "open" and arguments[0] == path and print(arguments)
        )
        async def main():
            async with await asyncuring.open_file(path, "r+", driver=driver, cached_reads="ring"):
                pass
        asyncio.run(main())
        """,
        driver,
        file,
    )
    assert said == f"{(str(file), 'r+', os.O_RDWR | os.O_CLOEXEC)}\n"


# -- direct IO


def test_direct_io_reads_and_writes_aligned_blocks(
    run: Run, driver: DriverName, tmp_path: Path
) -> None:
    path = tmp_path / "direct"

    async def main() -> None:
        buf = mmap.mmap(-1, 8192)
        buf[:] = b"direct!!" * 1024
        try:
            uring_file = await open_file(
                path, "w+", direct=True, driver=driver, cached_reads="ring"
            )
        except OSError as error:
            pytest.skip(f"no O_DIRECT in {tmp_path}: {error}")
        async with uring_file:
            assert await uring_file.write_at(buf, 4096) == 8192
            buf[:] = bytes(8192)
            assert await uring_file.read_at(buf, 8192) == 4096
            assert buf[:4096] == b"direct!!" * 512

    run(main)


def test_a_misaligned_direct_read_names_the_alignment_that_is_wanted(
    run: Run, driver: DriverName, file: Path
) -> None:
    if not insists_on_alignment(file):
        pytest.skip("the file system takes what is not aligned")

    async def main() -> None:
        opening = open_file(file, direct=True, driver=driver, cached_reads="ring")
        async with await opening as uring_file:
            known = lease_alignment(uring_file.fileno())
            with pytest.raises(OSError, match="with direct=True") as caught:
                await uring_file.read_at(mmap.mmap(-1, 4096), 17)
            assert (caught.value.errno, caught.value.filename) == (errno.EINVAL, str(file))
            if known is not None:
                assert f"multiples of {known[1]} (got offset 17, length 4096)" in str(caught.value)

    def lease_alignment(fd: int) -> tuple[int, int] | None:
        leased = lease(driver)
        try:
            return leased.direct_alignment(fd)
        finally:
            leased.release()

    run(main)


def test_without_a_reported_alignment_the_error_says_what_is_wanted(
    run: Run, driver: DriverName
) -> None:
    """/proc knows neither O_DIRECT nor an alignment."""

    async def main() -> None:
        with pytest.raises(OSError, match="Invalid argument") as caught:
            await open_file("/proc/self/status", direct=True, driver=driver, cached_reads="ring")
        assert caught.value.filename == "/proc/self/status"

    run(main)


def test_a_platform_without_direct_io_says_so(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_DIRECT", raising=False)

    async def main() -> None:
        with pytest.raises(ValueError, match="no O_DIRECT"):
            await open_file(file, direct=True)

    run(main)


# -- drivers


def test_a_driver_asked_for_by_name_is_the_one_that_runs(
    run: Run, driver: DriverName, file: Path
) -> None:
    async def main() -> None:
        async with await open_file(file, driver=driver, cached_reads="ring"):
            now = asyncuring.statistics()
            assert (now.driver, now.reason) == (driver, "asked for by name")

    run(main)


@pytest.mark.usefixtures("uring")
def test_io_uring_is_the_default_where_it_works(run: Run, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file):
            now = asyncuring.statistics()
            assert (now.driver, now.reason) == ("uring", "io_uring works here")

    run(main)


@pytest.mark.usefixtures("uring")
def test_both_drivers_run_side_by_side(run: Run, file: Path) -> None:
    async def main() -> None:
        async with (
            await open_file(file, driver="uring", cached_reads="ring") as first,
            await open_file(file, driver="threads", cached_reads="ring") as second,
        ):
            assert await first.read_at(bytearray(8), 0) == 8
            assert await second.read_at(bytearray(8), 0) == 8
            now = asyncuring.statistics()
            assert [one.driver for one in now.drivers] == ["uring", "threads"]
            assert now.ops_submitted == sum(one.ops_submitted for one in now.drivers) == 4

    run(main)


def test_opening_a_fifo_to_read_does_not_wait_for_a_writer(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        # As many as the driver may have threads, so that one kept by each would be noticed.
        readers = [await open_file(fifo, driver=driver, cached_reads="ring") for _ in range(40)]
        assert all(os.get_blocking(reader.fileno()) for reader in readers)
        for reader in readers:
            await reader.aclose()

    run(main)
