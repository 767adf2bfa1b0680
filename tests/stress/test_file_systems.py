"""ext4, xfs, btrfs and tmpfs: the contract of files holds on each, and what each lacks is known.

Each is mounted for these tests, from an image on a loop device, which only root can do.
"""

from __future__ import annotations

import asyncio
import csv
import errno
import mmap
import platform
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asyncuring import open_file
from tests.stress.features import FEATURES, try_feature
from tests.stress.mounts import FILE_SYSTEMS, make_image, mounted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncuring._runtime import DriverName

ROOT = Path(__file__).parent.parent.parent
SECONDS_MAX = 120

# Whose answers docs/file-systems.csv holds.
KERNEL = "6.18"

CONTRACTS = [
    "test_appending.py",
    "test_barrier.py",
    "test_chain.py",
    "test_file_calls.py",
    "test_file_contract.py",
    "test_group_commit.py",
    "test_locks.py",
    "test_names.py",
    "test_opening.py",
    "test_replacing.py",
    "test_vectors.py",
]


@pytest.fixture(scope="module", params=FILE_SYSTEMS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def place(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory on a file system of that kind."""
    folder = tmp_path_factory.mktemp(kind)
    image = None
    if kind != "tmpfs":
        image = folder / "image"
        make_image(kind, image)
    with mounted(kind, image, folder / "mounted") as point:
        yield point


@pytest.mark.timeout(SECONDS_MAX)
def test_the_contract_holds(place: Path) -> None:
    """On one loop and one of the drivers with a ring: the file system does not see which."""
    contracts = [ROOT / "tests" / name for name in CONTRACTS]
    options: list[str | Path] = [
        *(
            "-q",
            "-p",
            "no:cacheprovider",
            "-k",
            "not uvloop and not trio and not debug and not local",
        ),
        *("--basetemp", place / "contract", "-o", "tmp_path_retention_policy=none"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *contracts],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    assert done.returncode == 0, done.stdout


# -- what each lacks


def documented() -> list[dict[str, str]]:
    with (ROOT / "docs" / "file-systems.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_reference_says_what_each_lacks(kind: str, place: Path, driver: DriverName) -> None:
    """The table in the manual is what is seen here; another kernel may have more, or less."""

    async def main() -> dict[str, str]:
        return {name: await try_feature(name, place, driver) for name in FEATURES}

    seen = asyncio.run(main())
    if not platform.release().startswith(f"{KERNEL}."):
        pytest.skip(f"the table is of Linux {KERNEL}; here it is {seen}")
    assert seen == {row["feature"]: row[kind] for row in documented()}


def test_atomic_writes_where_there_are_any(driver: DriverName, kind: str, place: Path) -> None:
    file = place / "atomic"

    async def main() -> None:
        file.write_bytes(bytes(1 << 16))
        async with await open_file(file, "r+", driver=driver, direct=True) as uring_file:
            limits = (await uring_file.stat()).atomic_writes
            if limits is None:
                pytest.skip(f"neither this {kind} nor its device promises any")
            with mmap.mmap(-1, limits.minimum) as memory:
                memory.write(b"x" * limits.minimum)
                count = await uring_file.write_at(memory, limits.minimum, atomic=True)
                assert count == limits.minimum
                with pytest.raises(OSError, match="a power of two") as caught:
                    await uring_file.write_at(memory, limits.minimum // 2, atomic=True)
                assert caught.value.errno == errno.EINVAL
                assert f"minimum={limits.minimum}" in str(caught.value)
            content = file.read_bytes()
            assert content.strip(b"\0") == b"x" * limits.minimum

    asyncio.run(main())
