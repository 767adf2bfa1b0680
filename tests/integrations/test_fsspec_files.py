"""What the fsspec file system does beyond fsspec's own tests of one."""

from __future__ import annotations

import gc
import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import asyncuring
from tests.conftest import PATTERN
from tests.running import run_asyncio
from tests.scripts import output_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncuring._runtime import DriverName

fsspec: Any = pytest.importorskip("fsspec", reason="fsspec is not installed")

from asyncuring.integrations.fsspec import UringFileSystem  # noqa: E402  after the look for fsspec


class FailedError(Exception):
    """What goes wrong while a file is written."""


@pytest.fixture
def fs(driver: DriverName) -> Iterator[Any]:
    fs = UringFileSystem(driver=driver, skip_instance_cache=True)
    yield fs
    fs.close()


def opened() -> int:
    """How many files the only driver has opened."""
    (driver,) = asyncuring.statistics().drivers
    return {each.opcode: each.count for each in driver.operations}.get("open", 0)


def test_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with fsspec.open(f"uring://{tmp_path}/new/text.gz", "wt", compression="infer") as file:
        file.write("line 1\nline 2\n")
    with fsspec.open("uring://new/text.gz", "rt", compression="gzip") as file:
        assert file.readlines() == ["line 1\n", "line 2\n"]
    fs, path = fsspec.url_to_fs("uring://new")
    assert (type(fs), path) == (UringFileSystem, f"{tmp_path}/new")
    assert fs.unstrip_protocol(path) == f"uring://{tmp_path}/new"
    assert fs.ls("uring://new", detail=False) == [f"{tmp_path}/new/text.gz"]
    fs.close()


def test_many_ranges_with_one_open_for_each_file(fs: Any, file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    fs.pipe(str(other), PATTERN[::-1])
    before = opened()
    paths = [str(file), str(other), f"uring://{file}", str(tmp_path / "none"), str(file)]
    found = fs.cat_ranges(paths, [0, 100, -10, 0, 5], [10, 200, None, 1, 5])
    assert opened() == before + 3
    assert found[:3] == [PATTERN[:10], PATTERN[::-1][100:200], PATTERN[-10:]]
    assert isinstance(found[3], FileNotFoundError)
    assert found[4] == b""
    assert fs.cat_ranges([str(file)] * 2, 1, 3) == [PATTERN[1:3]] * 2
    with pytest.raises(FileNotFoundError):
        fs.cat_ranges(paths, 0, 1, on_error="raise")
    with pytest.raises(ValueError, match="1 bounds for 5 paths"):
        fs.cat_ranges(paths, [0], 1)


@pytest.mark.parametrize(
    ("start", "end"),
    [(None, None), (0, 1), (100, None), (-7, None), (None, -7), (-9, -3), (9, 3), (10**9, None)],
)
def test_a_range_is_a_slice(fs: Any, file: Path, start: int | None, end: int | None) -> None:
    content = fs.cat_file(str(file), start, end)
    assert (type(content), content) == (bytes, PATTERN[start:end])


def test_more_files_at_once_than_a_process_may_open(uring: DriverName, tmp_path: Path) -> None:
    fs = UringFileSystem(driver=uring, skip_instance_cache=True)
    wanted = {str(tmp_path / str(number)): b"%d" % number for number in range(400)}
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, before[1]))
        fs.pipe(wanted)
        assert fs.cat(list(wanted)) == wanted
        assert fs.cat_ranges(list(wanted), 0, None) == list(wanted.values())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        fs.close()


def test_directories_are_read_by_nobody(fs: Any, tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        fs.cat_file(str(tmp_path))
    with pytest.raises(IsADirectoryError):
        fs.open(str(tmp_path))


def test_moving(fs: Any, tmp_path: Path) -> None:
    a, b = str(tmp_path / "a"), str(tmp_path / "new" / "b")
    fs.pipe(a, b"content")
    fs.mv(a, b)
    assert (fs.exists(a), fs.cat(b)) == (False, b"content")
    fs.mv(str(tmp_path / "new"), str(tmp_path / "moved"))
    assert fs.find(str(tmp_path)) == [str(tmp_path / "moved" / "b")]
    fs.mkdir(str(tmp_path / "into"))
    fs.mv(str(tmp_path / "moved" / "b"), str(tmp_path / "into"))
    assert fs.find(str(tmp_path)) == [str(tmp_path / "into" / "b")]
    with pytest.raises(FileNotFoundError):
        fs.mv(a, b)


def test_moving_onto_another_file_system(fs: Any, tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("/dev/shm is no file system of its own here")
    target = memory / f"asyncuring-{os.getpid()}"
    fs.pipe(str(tmp_path / "tree" / "a"), b"content")
    try:
        fs.mv(str(tmp_path / "tree"), str(target), recursive=True)
        assert (target / "a").read_bytes() == b"content"
        assert not fs.exists(str(tmp_path / "tree"))
    finally:
        fs.rm(str(target), recursive=True)


def test_removing(fs: Any, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    fs.pipe(str(precious / "file"), b"content")
    tree = tmp_path / "tree"
    fs.makedirs(str(tree / "below"))
    (tree / "link").symlink_to(precious)
    with pytest.raises(ValueError, match="recursive=True"):
        fs.rm(str(tree))
    with pytest.raises(OSError, match="not empty"):
        fs.rmdir(str(tree))
    with pytest.raises(NotImplementedError, match="maxdepth"):
        fs.rm(str(tree), recursive=True, maxdepth=1)
    fs.rm(str(tree), recursive=True)
    assert not tree.exists()
    assert fs.cat(str(precious / "file")) == b"content"
    fs.rm_file(str(precious / "file"))
    fs.rmdir(str(precious))
    with pytest.raises(FileExistsError):
        fs.makedirs(str(tmp_path))
    fs.makedirs(str(tmp_path), exist_ok=True)
    with pytest.raises(FileNotFoundError):
        fs.mkdir(str(tmp_path / "a" / "b"), create_parents=False)


def test_nobody_sees_what_is_not_finished(fs: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    fs.pipe(path, b"old")
    with fs.open(path, "wb", block_size=4) as file:
        file.write(b"new content")  # two blocks of it are written
        assert fs.cat(path) == b"old"
        assert fs.ls(str(tmp_path), detail=False) == [path]
        assert len(list(tmp_path.iterdir())) == 2
    assert fs.cat(path) == b"new content"
    with suppress(FailedError), fs.open(path, "wb", block_size=4) as file:
        file.write(b"never seen")
        raise FailedError
    assert fs.cat(path) == b"new content"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_of_two_that_create_a_file_one_succeeds(fs: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    first, second = fs.open(path, "xb"), fs.open(path, "xb")
    first.write(b"first")
    second.write(b"second")
    first.close()
    with pytest.raises(FileExistsError):
        second.close()
    assert fs.cat(path) == b"first"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_transactions(fs: Any, tmp_path: Path) -> None:
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    with fs.transaction:
        for path in (a, b):
            with fs.open(path, "wb") as file:
                file.write(b"content")
        assert not fs.exists(a)
        with pytest.raises(NotImplementedError, match="transaction"):
            fs.open(a, "ab")
    assert fs.cat([a, b]) == {a: b"content", b: b"content"}
    with suppress(FailedError), fs.transaction:
        with fs.open(a, "wb") as file:
            file.write(b"other")
        raise FailedError
    assert fs.cat(a) == b"content"
    assert {each.name for each in tmp_path.iterdir()} == {"a", "b"}


def test_appending_and_seeking(fs: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    for part in (b"one\n", b"two\n"):
        with fs.open(path, "ab") as file:
            file.write(part)
    with fs.open(path) as file:
        fs.pipe(path, b"another file of that name")
        assert (file.read(2), file.readline(), file.tell()) == (b"on", b"e\n", 4)
        assert (file.seek(-2, 2), file.read()) == (6, b"o\n")
    with pytest.raises(NotImplementedError, match=r"not 'r\+b'"):
        fs.open(path, "r+b")


def test_what_was_forgotten_is_closed(fs: Any, tmp_path: Path) -> None:
    fs.open(str(tmp_path / "file"), "wb").write(b"content")
    gc.collect()
    assert fs.cat(str(tmp_path / "file")) == b"content"
    fs.open(str(tmp_path / "file"))
    gc.collect()  # in the loop, then, as soon as that gets to it
    assert fs.exists(str(tmp_path / "file"))


def test_tasks(driver: DriverName, tmp_path: Path) -> None:
    """In the loop of the program: no other one, no other thread."""
    path = str(tmp_path / "file")

    async def use_it() -> None:
        fs = UringFileSystem(driver=driver, asynchronous=True, skip_instance_cache=True)
        async with await fs.open_async(path, "wb", block_size=4) as written:
            await written.write(b"some content")
        async with await fs.open_async(path) as read:
            assert (await read.read(5), await read.read(), await read.read()) == (
                b"some ",
                b"content",
                b"",
            )
        with suppress(FailedError):
            async with await fs.open_async(path, "wb", block_size=4) as written:
                await written.write(b"never seen")
                raise FailedError
        with pytest.raises(NotImplementedError, match="not 'ab'"):
            await fs.open_async(path, "ab")
        assert await fs._cat_file(path) == b"some content"
        assert await fs._ls(str(tmp_path), detail=False) == [path]
        fs.close()

    run_asyncio(use_it)


def test_times(fs: Any, file: Path) -> None:
    assert fs.modified(str(file)).timestamp() == pytest.approx(file.stat().st_mtime)
    assert fs.created(str(file)).timestamp() == pytest.approx(file.stat().st_ctime)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_processes(uring: DriverName, file: Path, tmp_path: Path, method: str) -> None:
    """As a program of its own, since `spawn` imports it again."""
    program = tmp_path / "program.py"
    program.write_text(f"""
import multiprocessing
import fsspec
url = "uring://{file}"
files = fsspec.filesystem("uring", driver={uring!r})
def work(bounds):
    mine = fsspec.filesystem("uring", driver={uring!r})
    return mine.cat_file(url, *bounds), mine is files
def unpickled(other):
    return other.cat_file(url, 65, 67)
if __name__ == "__main__":
    print(work((65, 67)))
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        found, same = zip(*pool.map(work, [(65, 67), (67, 69)]))
        print(found, same == 2 * ({method != "fork"},))
        print(pool.apply(unpickled, [files]))
        pool.close()
        pool.join()
    print(files.cat_file(url, 69, 70))
""")
    source = "import runpy; sys.argv[:] = [path]; runpy.run_path(path, run_name='__main__')"
    said = "(b'AB', True)\n(b'AB', b'CD') True\nb'AB'\nb'E'\n"
    assert output_of(source, uring, program) == said


def test_tables(uring: DriverName, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    import pyarrow.dataset

    table = pandas.DataFrame({"number": range(10_000), "text": ["abc", "def"] * 5000})
    for url in (f"uring://{tmp_path}/table.parquet", f"uring://{tmp_path}/table.csv"):
        write, read = (
            (table.to_parquet, pandas.read_parquet)
            if url.endswith("parquet")
            else (table.to_csv, pandas.read_csv)
        )
        write(url, index=False, storage_options={"driver": uring})
        assert read(url, storage_options={"driver": uring}).equals(table)
    fs = fsspec.filesystem("uring", driver=uring)
    dataset = pyarrow.dataset.dataset(f"{tmp_path}/table.parquet", filesystem=fs)
    found = dataset.to_table(filter=pyarrow.dataset.field("number") > 9990)
    assert found.num_rows == 9
    fs.close()
