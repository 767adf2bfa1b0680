"""Names in directories: on each loop, with each driver, what `os` does with them."""

from __future__ import annotations

import errno
import os
import stat
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import asyncuring
from asyncuring import open_file
from tests.conftest import PATTERN
from tests.held import no_depth_left
from tests.running import CancelledTaskError, Task, gather, under_umask, until_in_backlog
from tests.scripts import output_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncuring._runtime import DriverName
    from tests.running import Run

    Call = Callable[..., Awaitable[None]]


def grow_tree(root: Path) -> Path:
    """What the calls here are about: two files, an empty directory, a full one, a link to one."""
    root.mkdir()
    (root / "file").write_bytes(b"file")
    (root / "other").write_bytes(b"other")
    (root / "empty").mkdir()
    (root / "full").mkdir()
    (root / "full" / "inside").write_bytes(b"inside")
    (root / "loop").symlink_to("loop")
    return root


def tree_of(root: Path) -> dict[str, object]:
    """Everything below `root`, by name: a file's bytes, a link's target, None for a directory."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = path.read_bytes() if path.is_file() else None
    return found


SAME_AS_OS: dict[str, Any] = {
    "unlink": os.unlink,
    "rmdir": os.rmdir,
    "mkdir": os.mkdir,
    "rename": os.rename,
    "link": partial(os.link, follow_symlinks=False),  # from 3.14 on it would by itself
    "symlink": os.symlink,
}

LONG = "n" * 256

# Each is one call; names are below the tree's root, but for what a symbolic link holds.
CALLS: list[tuple[str, ...]] = [
    ("unlink", "file"),
    ("unlink", "loop"),
    ("unlink", "missing"),
    ("unlink", "file/below"),
    ("unlink", "empty"),
    ("unlink", "loop/below"),
    ("unlink", LONG),
    ("rmdir", "empty"),
    ("rmdir", "full"),
    ("rmdir", "file"),
    ("rmdir", "missing"),
    ("rmdir", "empty/."),
    ("mkdir", "new"),
    ("mkdir", "empty/new"),
    ("mkdir", "file"),
    ("mkdir", "empty"),
    ("mkdir", "missing/new"),
    ("mkdir", LONG),
    ("rename", "file", "new"),
    ("rename", "file", "other"),
    ("rename", "full", "empty"),
    ("rename", "empty", "full"),
    ("rename", "file", "empty"),
    ("rename", "empty", "file"),
    ("rename", "full", "full/inside/below"),
    ("rename", "full", "full/below"),
    ("rename", "missing", "new"),
    ("rename", "file", LONG),
    ("link", "file", "new"),
    ("link", "loop", "new"),
    ("link", "file", "other"),
    ("link", "empty", "new"),
    ("link", "missing", "new"),
    ("link", "file", "file/below"),
    ("symlink", "file", "new"),
    ("symlink", "missing", "new"),
    ("symlink", "file", "other"),
    ("symlink", "file", "missing/new"),
    ("symlink", LONG * 20, "new"),
]


def end_of(error: OSError | None) -> tuple[object, ...] | None:
    """What a caller can see of how a call ended."""
    if error is None:
        return None
    return (type(error), error.errno, error.strerror, error.filename, error.filename2, str(error))


@pytest.mark.parametrize("call", CALLS, ids=lambda call: "-".join(part[:20] for part in call))
def test_a_call_does_and_says_what_os_does(
    run: Run,
    driver: DriverName,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: tuple[str, ...],
) -> None:
    kind, *names = call
    grow_tree(tmp_path / "ours")
    grow_tree(tmp_path / "theirs")
    theirs = ours = None

    async def main() -> OSError | None:
        try:
            await getattr(asyncuring, kind)(*names, driver=driver)
        except OSError as error:
            return error
        return None

    monkeypatch.chdir(tmp_path / "theirs")
    try:
        SAME_AS_OS[kind](*names)
    except OSError as error:
        theirs = error
    monkeypatch.chdir(tmp_path / "ours")
    ours = run(main)
    assert end_of(ours) == end_of(theirs)
    assert tree_of(tmp_path / "ours") == tree_of(tmp_path / "theirs")


def test_names_are_kept_as_they_were_given(run: Run, driver: DriverName, tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/\xff\xfe"

    async def main() -> None:
        pairs: list[tuple[Any, Any]] = [
            (tmp_path / "a", tmp_path / "b"),
            (str(tmp_path / "a"), odd),
            (odd, os.fsdecode(odd) + "!"),
        ]
        for source, target in pairs:
            with pytest.raises(FileNotFoundError) as caught:
                await asyncuring.rename(source, target, driver=driver)
            assert caught.value.filename == os.fspath(source)
            assert caught.value.filename2 == os.fspath(target)
        await asyncuring.mkdir(odd, driver=driver)
        await asyncuring.rename(odd, tmp_path / "plain", driver=driver)

    run(main)
    assert tree_of(tmp_path) == {"plain": None}


TWO_NAMES: list[Call] = [asyncuring.rename, asyncuring.link, asyncuring.symlink]
ONE_NAME: list[Call] = [
    asyncuring.unlink,
    asyncuring.rmdir,
    asyncuring.mkdir,
    asyncuring.sync_directory,
]


@pytest.mark.parametrize("call", TWO_NAMES, ids=lambda call: call.__name__)
def test_a_nul_byte_ends_no_name(run: Run, tmp_path: Path, call: Call) -> None:
    fine, bad = tmp_path / "fine", f"{tmp_path}/bad\0bad"
    fine.write_bytes(b"")

    async def main() -> None:
        with pytest.raises(ValueError, match="embedded null byte"):
            await call(fine, bad)
        with pytest.raises(ValueError, match="embedded null byte"):
            await call(bad, fine)

    run(main)
    assert tree_of(tmp_path) == {"fine": b""}


@pytest.mark.parametrize("call", ONE_NAME, ids=lambda call: call.__name__)
def test_a_nul_byte_ends_no_single_name(run: Run, tmp_path: Path, call: Call) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="embedded null byte"):
            await call(f"{tmp_path}/bad\0bad")

    run(main)
    assert tree_of(tmp_path) == {}


def test_another_file_system_is_out_of_reach(run: Run, driver: DriverName, tmp_path: Path) -> None:
    elsewhere = Path("/dev/shm") / f"asyncuring-{os.getpid()}"
    if tmp_path.stat().st_dev == elsewhere.parent.stat().st_dev:
        pytest.skip(f"{tmp_path} and /dev/shm are the same file system")
    file = tmp_path / "file"
    file.write_bytes(b"stays")

    async def main() -> None:
        for call in (asyncuring.rename, asyncuring.link):
            with pytest.raises(OSError, match="Invalid cross-device link") as caught:
                await call(file, elsewhere, driver=driver)
            assert caught.value.errno == errno.EXDEV
            assert (caught.value.filename, caught.value.filename2) == (str(file), str(elsewhere))

    run(main)
    assert file.read_bytes() == b"stays"
    assert not elsewhere.exists()


# -- directories


@pytest.mark.parametrize("modes", [(0o777, 0o022, 0o755), (0o1750, 0, 0o1750), (0o700, 0, 0o700)])
def test_a_new_directory_has_its_permissions_less_the_umask(
    run: Run, driver: DriverName, tmp_path: Path, modes: tuple[int, int, int]
) -> None:
    asked, umask, got = modes

    async def main() -> None:
        await asyncuring.mkdir(tmp_path / "new", permissions=asked, driver=driver)
        with pytest.raises(ValueError, match="permissions must be between 0 and 0o7777"):
            await asyncuring.mkdir(tmp_path / "never", permissions=0o10000, driver=driver)

    with under_umask(umask):
        run(main)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == got
    assert tree_of(tmp_path) == {"new": None}


def test_a_directory_is_made_durable(run: Run, driver: DriverName, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    async def main() -> None:
        before = asyncuring.statistics().drivers
        await asyncuring.sync_directory(tmp_path, driver=driver)
        assert before == ()
        with pytest.raises(NotADirectoryError) as caught:
            await asyncuring.sync_directory(tmp_path / "file", driver=driver)
        assert caught.value.filename == str(tmp_path / "file")
        with pytest.raises(FileNotFoundError):
            await asyncuring.sync_directory(tmp_path / "missing", driver=driver)

    run(main)


# -- drivers, tasks, audits


def test_a_driver_that_a_call_needed_stops_after_it(
    run: Run, driver: DriverName, tmp_path: Path
) -> None:
    async def main() -> None:
        await asyncuring.mkdir(tmp_path / "new", driver=driver)
        assert asyncuring.statistics().drivers == ()
        async with await open_file(tmp_path / "new" / "file", "x+", driver=driver):
            await asyncuring.unlink(tmp_path / "new" / "file", driver=driver)
            (running,) = asyncuring.statistics().drivers
            assert (running.driver, running.ops_submitted) == (driver, 2)
        await asyncuring.rmdir(tmp_path / "new", driver=driver)

    run(main)
    assert tree_of(tmp_path) == {}


def test_an_unknown_driver_is_refused(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        nonsense: Any = "nonsense"
        with pytest.raises(ValueError, match="no driver 'nonsense'"):
            await asyncuring.mkdir(tmp_path / "new", driver=nonsense)

    run(main)
    assert tree_of(tmp_path) == {}


def test_outside_a_loop_nothing_is_done(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="here is neither"):
        asyncuring.mkdir(tmp_path / "new").send(None)
    assert tree_of(tmp_path) == {}


def test_calls_at_once_are_all_carried_out(run: Run, driver: DriverName, tmp_path: Path) -> None:
    async def change(number: int) -> None:
        path = tmp_path / str(number)
        await asyncuring.mkdir(path, driver=driver)
        await asyncuring.symlink("nowhere", path / "a", driver=driver)
        await asyncuring.link(path / "a", path / "b", driver=driver)
        await asyncuring.rename(path / "a", path / "c", driver=driver)
        await asyncuring.unlink(path / "b", driver=driver)

    async def main() -> None:
        await gather(change, 300)

    run(main)
    expected = {str(number): None for number in range(300)}
    assert tree_of(tmp_path) == {
        **expected,
        **{f"{name}/c": "-> nowhere" for name in expected},
    }


def test_a_call_cancelled_in_the_backlog_changes_nothing(
    run: Run, driver: DriverName, fifo: Path, file: Path
) -> None:
    async def main() -> None:
        async with no_depth_left(fifo, driver):
            unlink = Task.start(_unlink)
            await until_in_backlog(1)
            unlink.cancel()
            with pytest.raises(CancelledTaskError):
                await unlink.join()

    async def _unlink() -> None:
        await asyncuring.unlink(file, driver=driver)

    run(main)
    assert file.read_bytes() == PATTERN


AUDITED: list[tuple[tuple[str, ...], str]] = [
    (("mkdir", "a"), "('os.mkdir', ('a', 511, -1))"),
    (("symlink", "x", "b"), "('os.symlink', ('x', 'b', -1))"),
    (("link", "b", "c"), "('os.link', ('b', 'c', -1, -1))"),
    (("rename", "c", "d"), "('os.rename', ('c', 'd', -1, -1))"),
    (("unlink", "d"), "('os.remove', ('d', -1))"),
    (("unlink", "b"), "('os.remove', ('b', -1))"),
    (("rmdir", "a"), "('os.rmdir', ('a', -1))"),
]


def test_calls_are_audited_as_those_of_os(driver: DriverName, tmp_path: Path) -> None:
    said = output_of(
        f"""
        os.chdir(path)
        def hook(event, arguments):
            if event.startswith("os."):
                print((event, arguments))
        sys.addaudithook(hook)
        async def main():
            for (call, *names), _ in {AUDITED!r}:
                await getattr(asyncuring, call)(*names, driver=driver)
        asyncio.run(main())
        for (call, *names), _ in {AUDITED!r}:
            options = dict(follow_symlinks=False) if call == "link" else dict()
            getattr(os, call)(*names, **options)
        """,
        driver,
        tmp_path,
    )
    expected = [event for _, event in AUDITED]
    ours, theirs = said.splitlines()[: len(AUDITED)], said.splitlines()[len(AUDITED) :]
    assert ours == theirs[: len(AUDITED)]
    assert ours == expected
