"""What clients ask for, on how many loops, beside what: small sweeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asyncuring.benchmark import dataset
from asyncuring.benchmark import files as trial_files
from asyncuring.benchmark.offsets import draw_offsets
from asyncuring.benchmark.records import read_records
from asyncuring.benchmark.runner import run_in_fresh_process
from tests.benchmark.small import BLOCK_SIZE, BLOCKS, ENGINES_AND_LOOPS, measure, run_benchmark

if TYPE_CHECKING:
    from asyncuring.benchmark.trial import Trial


ONE_OF_EACH = [("asyncuring", "asyncio"), ("thread-pool", "trio"), ("blocking", "none")]

GROUPERS = [
    ("asyncuring", "asyncio"),
    ("asyncuring", "trio"),
    ("thread-pool", "uvloop"),
    ("thread-pool", "trio"),
    ("blocking", "none"),
]


def is_sound(path: Path, block: int) -> bool:
    with path.open("rb") as file:
        file.seek(block * BLOCK_SIZE)
        try:
            dataset.check_block(file.read(BLOCK_SIZE), block * BLOCK_SIZE, BLOCK_SIZE)
        except dataset.CorruptBlockError:
            return False
    return True


@pytest.mark.parametrize(("engine", "loop"), ENGINES_AND_LOOPS)
def test_writes_reach_the_offsets_that_were_drawn_and_no_others(
    engine: str, loop: str, trial: Trial, blocks: Path
) -> None:
    writes = replace(trial, engine=engine, loop=loop, workload="write")
    assert run_in_fresh_process(writes)["error"] is None
    drawn = {off for client in (0, 1) for off in draw_offsets(writes, client)[:20]}
    written = {off // BLOCK_SIZE for off in drawn}
    assert {block for block in range(BLOCKS) if not is_sound(blocks, block)} == written


@pytest.mark.parametrize(("engine", "loop"), ENGINES_AND_LOOPS)
def test_a_mix_writes_a_part_of_what_was_drawn(
    engine: str, loop: str, trial: Trial, blocks: Path
) -> None:
    mix = replace(trial, engine=engine, loop=loop, workload="mix", read_share=0.7)
    record = run_in_fresh_process(mix)
    assert record["error"] is None
    assert [client["ops"] for client in record["clients"]] == [20, 20]
    drawn = {off // BLOCK_SIZE for lane in (0, 1) for off in draw_offsets(mix, lane)[:20]}
    written = {block for block in range(BLOCKS) if not is_sound(blocks, block)}
    assert written < drawn
    assert 0.15 < len(written) / len(drawn) < 0.45


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "trio", "none"])
@pytest.mark.parametrize("own_files", [False, True])
def test_each_appends_to_a_part_of_the_log(
    loop: str, own_files: bool, trial: Trial, tmp_path: Path
) -> None:
    engine = "blocking" if loop == "none" else "asyncuring"
    log = replace(trial, engine=engine, loop=loop, workload="append", clients=3)
    if own_files:
        log = replace(log, files="per-client", path=str(tmp_path / "logs"))
    trial_files.ensure(log, lambda _: None)
    before = {path: Path(path).read_bytes() for path in trial_files.all_of(log)}
    record = run_in_fresh_process(log)
    assert record["error"] is None
    assert [client["ops"] for client in record["clients"]] == [20] * 3
    changed = [
        {off // BLOCK_SIZE for off in range(0, len(old), BLOCK_SIZE) if differs(path, old, off)}
        for path, old in before.items()
    ]
    if own_files:
        assert changed == [set(range(20))] * 3
    else:
        starts = [BLOCKS * client // 3 for client in range(3)]
        assert changed == [{start + block for start in starts for block in range(20)}]


def differs(path: str, old: bytes, off: int) -> bool:
    with Path(path).open("rb") as file:
        file.seek(off)
        return file.read(BLOCK_SIZE) != old[off : off + BLOCK_SIZE]


@pytest.mark.parametrize(("engine", "loop"), GROUPERS)
def test_records_of_all_clients_become_one_log(
    engine: str, loop: str, trial: Trial, blocks: Path
) -> None:
    # More than the file has room for: it grows, and is cut again.
    log = replace(trial, engine=engine, loop=loop, workload="append-group", clients=5)
    record = run_in_fresh_process(replace(log, ops_per_client=60, verify=True))
    assert record["error"] is None
    assert [client["ops"] for client in record["clients"]] == [60] * 5
    assert blocks.stat().st_size == BLOCKS * BLOCK_SIZE


@pytest.mark.parametrize(("engine", "loop"), ONE_OF_EACH)
def test_small_files_are_read_whole(engine: str, loop: str, trial: Trial, tmp_path: Path) -> None:
    small = replace(
        trial, engine=engine, loop=loop, workload="small-files", path=str(tmp_path / "small")
    )
    trial_files.ensure(small, lambda _: None)
    small = replace(small, verify=True, pipeline=2)
    record = run_in_fresh_process(small)
    assert record["error"] is None
    assert [client["ops"] for client in record["clients"]] == [20, 20]
    # Its second op: the first of a lane warms up.
    off = draw_offsets(small, lane=2)[1]
    path = Path(trial_files.small_file(small, off // BLOCK_SIZE))
    path.write_bytes(path.read_bytes()[:-6] + b"spoilt")
    assert "does not match its checksum" in run_in_fresh_process(small)["error"]
    path.write_bytes(b"not a block")
    record = run_in_fresh_process(small)
    asked = [list(draw_offsets(small, lane)[:10]).count(off) for lane in range(4)]
    short = (asked[0] + asked[1], asked[2] + asked[3])
    assert [client["errors"].get("short", 0) for client in record["clients"]] == list(short)


def test_small_files_that_are_spoilt_are_filled_again(trial: Trial, tmp_path: Path) -> None:
    small = replace(trial, workload="small-files", path=str(tmp_path / "small"))
    done = 0

    def progress(size: int) -> None:
        nonlocal done
        done += size

    assert not trial_files.are_there(small)
    for _ in range(3):
        done = 0
        trial_files.ensure(small, progress)
        assert trial_files.are_there(small)
        assert done == small.file_size
        path = Path(trial_files.small_file(small, 7))
        assert path.read_bytes()[:8] == (7).to_bytes(8, "little")
        path.write_bytes(b"spoilt" * (BLOCK_SIZE // 6 + 1))


@pytest.mark.parametrize(("engine", "loop"), ONE_OF_EACH)
def test_each_client_has_a_file_of_its_own(
    engine: str, loop: str, trial: Trial, tmp_path: Path
) -> None:
    own = replace(trial, engine=engine, loop=loop, clients=3, files="per-client", verify=True)
    own = replace(own, path=str(tmp_path / "own"), loops=1 if loop == "none" else 2)
    trial_files.ensure(own, lambda _: None)
    paths = list(map(Path, trial_files.all_of(own)))
    assert [path.stat().st_size for path in paths] == [BLOCKS // 3 * BLOCK_SIZE] * 3
    record = run_in_fresh_process(own)
    assert record["error"] is None
    assert [client["ops"] for client in record["clients"]] == [20] * 3
    # The blocks carry the numbers of their place in all files together.
    paths[0].rename(tmp_path / "first")
    paths[1].rename(paths[0])
    (tmp_path / "first").rename(paths[1])
    assert "carries the number" in run_in_fresh_process(own)["error"]


PLAN = """
[[sweep]]
workload = "small-files"
engines = "asyncuring,null"
clients = 3
ops-per-client = 7

[[sweep]]
workload = "append"
files = "per-client"
engines = "asyncuring"
clients = [2, 3]
verify = true
ops-per-client = 7

[[sweep]]
workload = "append-group"
engines = "asyncuring,thread-pool"
clients = 2
pipeline = 3
verify = true
ops-per-client = 7

[[sweep]]
files = "per-client"
engines = "asyncuring"
clients = 2
background = 1
think = "1ms"
duration = "60ms"

[[sweep]]
workload = "mix"
engines = "asyncuring"
clients = 4
offsets = "zipf"
ops-per-client = 7

[[sweep]]
workload = "mix"
read-share = "25%"
engines = "null"
clients = 4
ops-per-client = 7
"""


def test_a_sweep_has_files_for_each_kind_of_work(files: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN)
    finished = run_benchmark(
        *("--plan", plan, "--file-size", "2MiB", "--out", tmp_path / "out", "--dir", files)
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    records = read_records(tmp_path / "out")
    trials = [record["trial"] for record in records if record["kind"] == "trial"]
    assert len(trials) == 9
    assert sorted(trial["read_share"] for trial in trials if trial["workload"] == "mix") == [
        0.25,
        0.7,
    ]
    assert {trial["read_share"] for trial in trials if "append" in trial["workload"]} == {0}


def test_a_sweep_of_writes_leaves_the_file_of_the_reads_alone(files: Path) -> None:
    measure(files, "--engines blocking --clients 1 --ops-per-client 5")
    read = (files / f"blocks-8192-{2 << 20}").read_bytes()
    options = "--workload write --clients 2 --ops-per-client 30"
    measured = measure(files, options)
    assert (files / f"blocks-8192-{2 << 20}").read_bytes() == read
    rows = measured.totals
    assert {row["engine"] for row in rows} == {
        "asyncuring",
        "asyncuring-threads",
        "thread-pool",
        "blocking",
        "null",
        "bare",
    }
    assert {(row["workload"], row["batch"], row["ops"]) for row in rows} == {("write", "1", "60")}


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "trio"])
def test_a_batch_counts_each_block_and_one_latency(loop: str, files: Path) -> None:
    options = f"--workload read-many --batch 8 --loop {loop} --clients 3 --ops-per-client 400"
    measured = measure(files, options)
    rows = measured.totals
    assert {(row["workload"], row["batch"], row["ops"]) for row in rows} == {
        ("read-many", "8", "1200")
    }
    for record in measured.records:
        for client in record["clients"]:
            assert client["ops"] == 400
            assert sum(client["latency_histogram"][1::2]) == 50


@pytest.mark.parametrize("engine", ["asyncuring", "asyncuring-threads"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "trio"])
def test_each_block_of_a_batch_is_looked_at(
    engine: str, loop: str, trial: Trial, blocks: Path
) -> None:
    trial = replace(trial, engine=engine, loop=loop, workload="read-many", batch=4, verify=True)
    record = run_in_fresh_process(trial)
    assert record["error"] is None
    assert [client["ops"] for client in record["clients"]] == [20, 20]
    with blocks.open("r+b") as file:
        file.seek(draw_offsets(trial, lane=1)[18] + BLOCK_SIZE // 2)
        file.write(b"spoilt")
    assert "does not match its checksum" in run_in_fresh_process(trial)["error"]


def test_a_request_that_fails_in_a_batch_is_a_failure(trial: Trial, blocks: Path) -> None:
    with blocks.open("r+b") as file:
        file.truncate(100)
    trial = replace(trial, engine="asyncuring", workload="read-many", batch=4)
    assert run_in_fresh_process(trial)["error"].startswith("OSError: an op carried ")


def test_a_batch_with_a_failure_does_not_count(trial: Trial, blocks: Path) -> None:
    trial = replace(trial, engine="asyncuring", clients=1, workload="read-many", batch=4)
    offsets = draw_offsets(trial, lane=0)[:20]
    batches = [offsets[first : first + 4] for first in range(0, 20, 4)]
    end = max(batches[0]) + BLOCK_SIZE
    short = [[off for off in batch if off >= end] for batch in batches]
    assert any(short)
    with blocks.open("r+b") as file:
        file.truncate(end)
    (client,) = run_in_fresh_process(trial)["clients"]
    assert client["errors"] == {"short": sum(map(len, short))}
    assert client["ops"] == 4 * short.count([])


def test_batches_end_with_the_time_too(files: Path) -> None:
    options = "--workload read-many --engines null --clients 3 --duration 60ms"
    (row,) = measure(files, options).totals
    assert (row["batch"], row["error"]) == ("32", "")
    assert float(row["ops"]) % 32 == 0


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "trio"])
def test_several_loops_share_the_clients(loop: str, files: Path) -> None:
    options = f"--loops 2 --loop {loop} --clients 5 --ops-per-client 30 --verify"
    measured = measure(files, options)
    for row in measured.totals:
        loops = "1" if row["engine"] == "blocking" else "2"
        assert (row["clients"], row["loops"], row["ops"]) == ("5", loops, "150")
    for record in measured.records:
        assert [client["ops"] for client in record["clients"]] == [30] * 5


@pytest.mark.parametrize("loops", [1, 2])
def test_a_failure_on_one_of_several_loops_ends_them_all(
    loops: int, trial: Trial, blocks: Path
) -> None:
    trial = replace(trial, clients=4, loops=loops, verify=True)
    first = draw_offsets(trial, lane=3)[0]
    with blocks.open("r+b") as file:
        file.seek(first + 100)
        file.write(b"spoilt")
    assert "does not match its checksum" in run_in_fresh_process(trial)["error"]


def test_a_failure_before_the_start_is_the_one_that_is_told(trial: Trial, blocks: Path) -> None:
    trial = replace(trial, clients=4, loops=2, verify=True)
    first = draw_offsets(trial, lane=2)[0]
    with blocks.open("r+b") as file:
        file.seek(first)
        file.write(b"spoilt")
    record = run_in_fresh_process(trial)
    assert record["error"].startswith(f"CorruptBlockError: block {first // BLOCK_SIZE} ")


def test_a_busy_thread_is_in_the_way(trial: Trial) -> None:
    trial = replace(trial, engine="null", clients=1, duration_s=0.3, ops_per_client=None)
    record = run_in_fresh_process(replace(trial, busy_thread=True))
    assert record["error"] is None
    # Once it has the GIL it keeps it until Python takes it away, after 5 ms.
    assert record["clients"][0]["latency_ns_max"] >= 4e6


def test_the_totals_say_that_a_busy_thread_was_there(files: Path) -> None:
    options = "--engines null,blocking --busy-thread --clients 2 --ops-per-client 10"
    rows = measure(files, options).totals
    assert [row["busy_thread"] for row in rows] == ["True", "True"]


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_background_is_in_a_class_and_not_among_the_clients(files: Path, loop: str) -> None:
    options = f"--engines asyncuring,asyncuring-classes --loop {loop} --clients 2 --background 0,9"
    measured = measure(files, f"{options} --duration 300ms --direct")
    rows = {(row["engine"], row["background"]): row for row in measured.totals}
    assert len(rows) == 4
    for record in measured.records:
        trial = record["trial"]
        assert len(record["clients"]) == 2
        assert len(record["background"]) == trial["background"]
        classes = {
            operation["io_class"]
            for driver in record["details"]["drivers"]
            for operation in driver["operations"]
            if operation["opcode"] == "read"
        }
        in_class = trial["engine"] == "asyncuring-classes" and trial["background"] > 0
        assert classes == ({"default", "background"} if in_class else {"default"})
    for (_, background), row in rows.items():
        assert (float(row["background_ops_per_second"]) > 0) == (background == "9")
        assert float(row["all_ops_per_second"]) >= float(row["ops_per_second"])
