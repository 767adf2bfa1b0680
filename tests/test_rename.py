"""What rename can do beyond os.rename: on each loop, with each driver."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import asyncuring
from tests.test_names import grow_tree, tree_of

if TYPE_CHECKING:
    from asyncuring._runtime import DriverName
    from tests.running import Run


def test_a_rename_that_may_not_replace(run: Run, driver: DriverName, tmp_path: Path) -> None:
    tree = grow_tree(tmp_path / "tree")
    before = tree_of(tree)

    async def main() -> None:
        with pytest.raises(FileExistsError) as caught:
            await asyncuring.rename(tree / "file", tree / "other", replace=False, driver=driver)
        assert caught.value.filename2 == str(tree / "other")
        with pytest.raises(FileExistsError):
            await asyncuring.rename(tree / "full", tree / "empty", replace=False, driver=driver)
        assert tree_of(tree) == before
        await asyncuring.rename(tree / "file", tree / "new", replace=False, driver=driver)

    run(main)
    assert tree_of(tree) == {"new": before.pop("file"), **before}


def test_a_rename_that_exchanges(run: Run, driver: DriverName, tmp_path: Path) -> None:
    tree = grow_tree(tmp_path / "tree")
    before = tree_of(tree)

    async def main() -> None:
        await asyncuring.rename(tree / "file", tree / "other", exchange=True, driver=driver)
        assert tree_of(tree) == {**before, "file": b"other", "other": b"file"}
        await asyncuring.rename(tree / "file", tree / "full", exchange=True, driver=driver)
        assert (tree / "file" / "inside").read_bytes() == b"inside"
        with pytest.raises(FileNotFoundError) as caught:
            await asyncuring.rename(tree / "other", tree / "missing", exchange=True, driver=driver)
        assert caught.value.filename2 == str(tree / "missing")
        with pytest.raises(ValueError, match="exchange=True replaces nothing"):
            await asyncuring.rename(
                tree / "other", tree / "new", exchange=True, replace=False, driver=driver
            )

    run(main)


@pytest.mark.parametrize(
    ("options", "flag"),
    [({"replace": False}, "RENAME_NOREPLACE"), ({"exchange": True}, "RENAME_EXCHANGE")],
    ids=["no-replace", "exchange"],
)
def test_a_file_system_without_such_renames_is_named(
    run: Run, driver: DriverName, options: Any, flag: str
) -> None:
    """Names in /sys cannot be changed at all; with a flag the kernel says that it has none."""
    source, target = Path("/sys/kernel/uevent_seqnum"), Path("/sys/kernel/notes")
    if "exchange" not in options:
        target = target.with_name("asyncuring")
    if not os.access(source.parent, os.W_OK):
        pytest.skip(f"{source.parent} may not be written to")

    async def main() -> None:
        with pytest.raises(OSError, match=f"Invalid argument: .*{flag}") as caught:
            await asyncuring.rename(source, target, **options, driver=driver)
        assert caught.value.errno == errno.EINVAL
        assert (caught.value.filename, caught.value.filename2) == (str(source), str(target))

    run(main)
