"""What the zarr store does beyond zarr's own tests of one."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import asyncuring
from tests.running import checkpoints, run_asyncio
from tests.scripts import output_of

if TYPE_CHECKING:
    from asyncuring._runtime import DriverName

zarr: Any = pytest.importorskip("zarr", reason="zarr is not installed; it needs CPython 3.11")
np: Any = pytest.importorskip("numpy")

from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest  # noqa: E402
from zarr.core.buffer import cpu, default_buffer_prototype  # noqa: E402
from zarr.storage import LocalStore  # noqa: E402

from asyncuring.integrations.zarr import UringStore  # noqa: E402

OLD, NEW = cpu.Buffer.from_bytes(b"old value"), cpu.Buffer.from_bytes(b"another value")


def names_below(path: Path) -> set[str]:
    return {str(each.relative_to(path)) for each in path.rglob("*") if each.is_file()}


async def all_of(keys: Any) -> set[str]:
    return {key async for key in keys}


def operations() -> dict[str, int]:
    """How many operations of each kind the only driver has carried out."""
    (driver,) = asyncuring.statistics().drivers
    return {each.opcode: each.count for each in driver.operations}


def test_arrays_are_the_same_files_as_zarrs_own(tmp_path: Path, driver: DriverName) -> None:
    data = np.arange(3 * 70_000).reshape(3, 70_000)
    with UringStore(tmp_path, driver=driver) as ours:
        options: Any = {"shape": data.shape, "chunks": (1, 40_000), "dtype": data.dtype}
        written = zarr.create_array(ours, name="a", **options)
        written[...] = data
        local = zarr.open_array(LocalStore(tmp_path), path="a", mode="r+")
        assert (local[...] == data).all()
        local[1] = 7
        assert (written[1] == 7).all()
        assert (written[:, 100:200] == local[:, 100:200]).all()


def test_several_loops_at_once(tmp_path: Path, driver: DriverName) -> None:
    with UringStore(tmp_path, driver=driver) as store:
        store.set_sync("key", OLD)  # in zarr's loop
        prototype = default_buffer_prototype()

        async def get() -> Any:
            return await asyncio.gather(
                store.get("key", prototype), asyncio.to_thread(store.get_sync, "key")
            )

        for _ in range(2):  # loops that end
            assert run_asyncio(get) == [OLD, OLD]


def test_the_driver_runs_until_the_store_is_closed(tmp_path: Path, driver: DriverName) -> None:
    store = UringStore(tmp_path, driver=driver)
    assert asyncuring.statistics().drivers == ()
    run_asyncio(store.set, "key", OLD)
    assert asyncuring.statistics().driver == driver
    assert run_asyncio(store.get, "key") == OLD
    store.close()
    assert asyncuring.statistics().drivers == ()
    assert run_asyncio(store.get, "key") == OLD  # opened again
    del store
    assert asyncuring.statistics().drivers == ()


def test_many_tasks_may_be_first(tmp_path: Path, driver: DriverName) -> None:
    async def use_it() -> None:
        with UringStore(tmp_path / "a" / "b", driver=driver) as store:
            await asyncio.gather(*(store.set(f"c/{n // 4}/{n}", OLD) for n in range(20)))
            assert await store.getsize_prefix("c") == 20 * len(OLD)
            assert len(await all_of(store.list_prefix("c/3"))) == 4

    run_asyncio(use_it)


def test_partial_values(tmp_path: Path, driver: DriverName) -> None:
    """One open for all ranges of a key; the order is that of the requests."""
    wanted = [
        ("a", RangeByteRequest(4, 9)),
        ("nothing", None),
        ("b", None),
        ("a", SuffixByteRequest(2)),
        ("a", SuffixByteRequest(100)),
        ("a", OffsetByteRequest(4)),
        ("a", OffsetByteRequest(100)),
        ("a", RangeByteRequest(4, 100)),
    ]

    async def use_it() -> Any:
        with UringStore(tmp_path, driver=driver) as store:
            await store.set("a", OLD)
            await store.set("b", NEW)
            opened = operations()["open"]
            found = await store.get_partial_values(default_buffer_prototype(), wanted)
            assert operations()["open"] == opened + 3
            return found

    old = b"old value"
    expected = [old[4:9], None, b"another value", old[-2:], old, old[4:], b"", old[4:]]
    found = run_asyncio(use_it)
    assert [None if each is None else each.to_bytes() for each in found] == expected


def test_a_directory_is_no_key(tmp_path: Path, driver: DriverName) -> None:
    async def use_it() -> None:
        with UringStore(tmp_path, driver=driver) as store:
            await store.set("group/key", OLD)
            assert await store.get("group") is None
            assert await store.get("group/key/below") is None
            assert not await store.exists("group")
            with pytest.raises(FileNotFoundError):
                await store.getsize("group")
            with pytest.raises(ValueError, match="is a key"):
                await store.delete_dir("group/key")
            await store.delete("group/key/below")
            await store.delete("group")
            await store.delete_dir("group")
            assert await all_of(store.list()) == set()

    run_asyncio(use_it)


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, driver: DriverName) -> None:
    async def use_it() -> None:
        with UringStore(tmp_path, driver=driver) as store:
            with pytest.raises(OSError, match="File name too long"):
                await store.set("n" * 256, OLD)
            assert names_below(tmp_path) == set()
            await store.set("key", OLD)
            with pytest.raises(NotADirectoryError):
                await store.set("key/below", NEW)
            with pytest.raises(TypeError, match="must be a zarr Buffer"):
                await store.set("key", b"bytes")
            assert await store.get("key") == OLD
            assert names_below(tmp_path) == {"key"}

    run_asyncio(use_it)


def test_a_cancelled_write_leaves_one_value_and_nothing_else(
    tmp_path: Path, driver: DriverName
) -> None:
    async def use_it() -> None:
        with UringStore(tmp_path, driver=driver) as store:
            await store.set("key", OLD)
            for steps in range(12):
                task = asyncio.create_task(store.set("key", NEW))
                await checkpoints(steps)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                assert names_below(tmp_path) == {"key"}
                assert await store.get("key") in (OLD, NEW)

    run_asyncio(use_it)


def test_what_a_killed_writer_left_is_no_key(tmp_path: Path, driver: DriverName) -> None:
    async def use_it() -> None:
        with UringStore(tmp_path, driver=driver) as store:
            await store.set("c/0", OLD)
            Path(tmp_path, "c", ".asyncuring-0123456789abcdef").write_bytes(b"half")
            assert await all_of(store.list()) == {"c/0"}
            assert await all_of(store.list_dir("c")) == {"0"}
            assert await store.getsize_prefix("") == len(OLD)
            await store.clear()
            assert names_below(tmp_path) == set()
            assert tmp_path.is_dir()

    run_asyncio(use_it)


def test_of_many_that_set_if_not_exists_one_succeeds(tmp_path: Path, driver: DriverName) -> None:
    async def use_it() -> None:
        with UringStore(tmp_path, driver=driver) as store:
            values = [cpu.Buffer.from_bytes(b"%d" % number * 1000) for number in range(10)]
            await asyncio.gather(*(store.set_if_not_exists("key", value) for value in values))
            first = await store.get("key")
            assert first in values
            await store.set_if_not_exists("key", OLD)
            assert await store.get("key") == first
            assert names_below(tmp_path) == {"key"}

    run_asyncio(use_it)


@pytest.mark.parametrize("durable", [False, True])
def test_what_is_synced(tmp_path: Path, driver: DriverName, durable: bool) -> None:
    """A file and its directory for each value; the names of new directories, once."""

    async def use_it() -> list[tuple[int, int]]:
        synced = []
        with UringStore(tmp_path / "new", driver=driver, durable=durable) as store:
            for key in ["a/b/0", "a/b/1"]:
                before = operations() if asyncuring.statistics().drivers else {}
                await store.set(key, OLD)
                after = operations()
                synced.append(
                    (
                        after.get("fdatasync", 0) - before.get("fdatasync", 0),
                        after.get("fsync", 0) - before.get("fsync", 0),
                    )
                )
        return synced

    # "b" for its file; then "a", "new" and what holds it for the names of b, a and new.
    assert run_asyncio(use_it) == ([(1, 4), (1, 1)] if durable else [(0, 0), (0, 0)])


def test_settings_go_along(
    tmp_path: Path, driver: DriverName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = UringStore("here", driver=driver, durable=True)
    monkeypatch.chdir("/")
    assert store.path == str(tmp_path / "here")
    other = store.with_read_only(read_only=True)
    assert (other.durable, other.read_only, other == store) == (True, True, True)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        run_asyncio(other.get, "key")
    with pytest.raises(ValueError, match="there is no driver 'none'"):
        run_asyncio(UringStore(tmp_path, driver="none").get, "key")  # type: ignore[arg-type]


def test_other_processes_use_a_store_of_their_own(tmp_path: Path, uring: DriverName) -> None:
    """A forked child uses the parent's object; a spawned one, what was pickled."""
    source = """
    import multiprocessing
    from zarr.core.buffer import cpu
    from asyncuring.integrations.zarr import UringStore

    def ended():  # zarr's loop sees to it
        return any(asyncuring.statistics().drivers == () for _ in range(200_000))

    store = UringStore(path, driver=driver)
    store.set_sync("key", cpu.Buffer.from_bytes(b"parent's"))
    child = os.fork()
    if child == 0:
        store.set_sync("child", cpu.Buffer.from_bytes(store.get_sync("key").to_bytes()[:6] + b"!"))
        store.close()
        os._exit(0 if ended() else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print(store.get_sync("child").to_bytes(), asyncuring.statistics().driver == driver)
    spawned = multiprocessing.get_context("spawn").Pool(1)
    with spawned:
        print(spawned.apply(store.get_sync, ("child",)).to_bytes())
        spawned.close()
        spawned.join()
    store.close()
    print(ended())
    """
    assert output_of(source, uring, tmp_path) == "0\nb'parent!' True\nb'parent!'\nTrue\n"
