"""All that can be done with files and names, in any order: the library, the system and a model.

Each step is done by the library and by system calls on another directory: both must succeed with
the same result, or fail with the same errno. What succeeds is done to the model as well; then
contents and names must be the same in all three.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

import asyncuring
from asyncuring import open_file
from tests.running import CancelledTaskError, Task, checkpoint
from tests.stateful.files import ModelFile, OurFile, SystemFile, pattern
from tests.stateful.portal import Portal
from tests.stateful.trees import ModelTree, OurTree, SystemTree, inodes, look

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncuring._runtime import DriverName
    from tests.running import Run

BLOCK = 4096
REGIONS = 8

_FLAGS = {
    "r": os.O_RDONLY,
    "r+": os.O_RDWR,
    "w+": os.O_RDWR | os.O_CREAT | os.O_TRUNC,
    "x+": os.O_RDWR | os.O_CREAT | os.O_EXCL,
    "a+": os.O_RDWR | os.O_CREAT | os.O_APPEND,
}

slots = st.integers(0, 2)
names = st.sampled_from(["a", "b", "d", "d/a"])
modes = st.sampled_from([*_FLAGS, "w+", "w+", "w+"])
caches = st.sampled_from(["auto", "inline", "ring"])
blocks = st.integers(0, 15).map(lambda number: number * BLOCK)
offsets = blocks | st.integers(0, 40_000)
lengths = st.integers(1, 4).map(lambda number: number * BLOCK) | st.integers(1, 12_000)
contents = st.builds(pattern, st.integers(0, 250), lengths)
turns = st.integers(0, 6)


def steps(kinds: list[str], *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(st.sampled_from(kinds), st.tuples(*arguments))


READS = ["read", "readv", "read_many"]
WRITES = ["write", "writev", "write_durably", "write_many", "write_in_a_chain"]
ROOMS = [
    "allocate",
    "reserve",
    "zero_range",
    "punch_hole",
    "collapse_range",
    "insert_range",
]

transfers = steps(READS, offsets, lengths) | steps(WRITES, offsets, contents)
changes = st.one_of(
    steps(ROOMS, offsets, lengths),
    steps(ROOMS, blocks, st.just(BLOCK)),
    steps(["truncate"], offsets),
    steps(["sync", "stat"]),
)

name_steps = st.one_of(
    steps(["unlink", "mkdir", "rmdir"], names),
    steps(["link", "rename", "rename_to_new", "exchange"], names, names),
    steps(["replace_file"], names, contents),
)

# Within one block each, so that their order is of no account.
region_steps = st.lists(
    st.tuples(
        st.integers(0, REGIONS - 1),
        st.sampled_from([*READS, *WRITES, "punch_hole"]),
        st.integers(0, 250),
        st.booleans(),
    ),
    min_size=2,
    max_size=REGIONS,
    unique_by=lambda step: step[0],
)


@dataclass(frozen=True)
class Opened:
    """The same file in each of the three."""

    ours: OurFile
    system: SystemFile
    model: ModelFile
    appends: bool


def ending(call: Callable[..., Any], *arguments: Any) -> tuple[str, Any]:
    """What came of a call: its result, or its errno."""
    try:
        return "result", call(*arguments)
    except OSError as error:
        return "errno", error.errno


def run_any_order(run: Run, driver: DriverName, folder: Path, examples: int, seed: int) -> None:
    """Run that many random orders of 50 steps; the same seed gives the same ones."""
    attributes = {"run_loop": staticmethod(run), "driver": driver, "folder": folder}
    machine = type("AnyOrder", (AnyOrder,), attributes)
    run_state_machine_as_test(
        hypothesis.seed(seed)(machine),
        settings=hypothesis.settings(
            max_examples=examples,
            stateful_step_count=50,
            database=None,
            deadline=None,
            # What fails rarely cannot be made shorter, only be looked for again, for minutes.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def _is_begun(now: bytes, before: bytes, after: bytes) -> bool:
    """Whether so much of a write is done as it takes from its start on: all, or a part, or none."""
    return any(now == after[:done] + before[done:] for done in range(len(now) + 1))


class AnyOrder(RuleBasedStateMachine):
    """Each test makes a class of its own of it, with the attributes here."""

    run_loop: ClassVar[Run]
    driver: ClassVar[DriverName]
    folder: ClassVar[Path]

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(dir=self.folder))
        for name in ("ours", "system"):
            (self.root / name).mkdir()
        self.portal = Portal(self.run_loop)
        self.ours = OurTree(self.root / "ours", self.driver)
        self.system = SystemTree(self.root / "system")
        self.model = ModelTree()
        self.opened: dict[int, Opened] = {}

    @initialize()
    def begin(self) -> None:
        """With a file to write and one to append to."""
        self.open(0, "a", "x+", "ring")
        self.open(1, "b", "a+", "auto")

    def teardown(self) -> None:
        try:
            for slot in list(self.opened):
                self._close(slot)
        finally:
            self.portal.close()
            shutil.rmtree(self.root)

    # -- files

    @rule(slot=slots, name=names, mode=modes, cached_reads=caches)
    def open_one(self, slot: int, name: str, mode: Any, cached_reads: Any) -> None:
        self.open(slot, name, mode, cached_reads)

    def open(self, slot: int, name: str, mode: Any, cached_reads: Any) -> None:
        if slot in self.opened:
            self._close(slot)
        flags = _FLAGS[mode] | os.O_CLOEXEC
        theirs = ending(os.open, self.system.root / name, flags)
        options = {"driver": self.driver, "cached_reads": cached_reads}
        ours = ending(lambda: self.portal.call(self._open, name, mode, options))
        assert ours[0] == theirs[0], (ours, theirs)
        if ours[0] == "errno":
            assert ours == theirs
        elif self.model.names.get(name, self.model) is None:  # a directory
            os.close(theirs[1])
            self.portal.call(ours[1].aclose)
        else:
            model = self.model.open(name, empty=mode == "w+")
            self.opened[slot] = Opened(
                OurFile(ours[1]), SystemFile(theirs[1]), model, appends=mode == "a+"
            )
            self._compare(self.opened[slot])

    async def _open(self, name: str, mode: Any, options: Any) -> asyncuring.UringFile:
        opened: asyncuring.UringFile = await open_file(self.ours.root / name, mode, **options)
        return opened

    @rule(slot=slots)
    def close(self, slot: int) -> None:
        if slot in self.opened:
            self._close(slot)

    def _close(self, slot: int) -> None:
        opened = self.opened.pop(slot)
        os.close(opened.system.fd)
        self.portal.call(opened.ours.file.aclose)

    def _pick(self, slot: int) -> Opened | None:
        """The file in that slot, or another one."""
        found = [*self.opened.values()]
        return self.opened.get(slot, found[slot % len(found)]) if found else None

    @rule(slot=slots, step=transfers)
    def transfer(self, slot: int, step: tuple[str, tuple[Any, ...]]) -> None:
        opened = self._pick(slot)
        if opened is None:
            return
        kind, arguments = step
        if opened.appends and kind in WRITES:
            kind, arguments = "append", arguments[1:]
        self._do_all(opened, kind, arguments, arguments, arguments)
        self._compare(opened)

    @rule(slot=slots, step=changes)
    def change(self, slot: int, step: tuple[str, tuple[Any, ...]]) -> None:
        opened = self._pick(slot)
        if opened is None:
            return
        kind, arguments = step
        self._do_all(opened, kind, arguments, arguments, arguments)
        self._compare(opened)

    @rule(slot=slots, off=offsets, to=slots, target_off=offsets, length=lengths)
    def copy(self, slot: int, off: int, to: int, target_off: int, length: int) -> None:
        source, target = self._pick(slot), self._pick(to)
        if source is None or target is None:
            return
        # A copy within one file that makes it longer could go on for ever.
        if source.model is target.model and off + length > len(source.model.content):
            return
        places = target_off, length
        self._do_all(
            source,
            "copy_range",
            (off, target.ours, *places),
            (off, target.system, *places),
            (off, target.model, *places),
        )
        self._compare(target)

    def _do_all(
        self,
        opened: Opened,
        kind: str,
        for_ours: tuple[Any, ...],
        for_system: tuple[Any, ...],
        for_model: tuple[Any, ...],
    ) -> None:
        theirs = ending(getattr(opened.system, kind), *for_system)
        ours = ending(self.portal.call, getattr(opened.ours, kind), *for_ours)
        assert ours == theirs, (kind, ours, theirs)
        if theirs[0] == "result":
            assert theirs[1] == getattr(opened.model, kind)(*for_model), kind

    def _compare(self, opened: Opened) -> None:
        size = len(opened.model.content)
        for fd in (opened.ours.file.fileno(), opened.system.fd):
            assert os.pread(fd, size + 1, 0) == opened.model.content
        status = os.fstat(opened.ours.file.fileno())
        assert (status.st_size, status.st_nlink) == opened.model.stat()

    # -- several at once, and cancelled

    @rule(slot=slots, steps=region_steps, pause=turns)
    def at_once(self, slot: int, steps: list[tuple[int, str, int, bool]], pause: int) -> None:
        opened = self._pick(slot)
        if opened is None or opened.appends:
            return
        size = REGIONS * BLOCK
        if len(opened.model.content) < size:
            if ending(opened.system.truncate, size)[0] == "errno":
                return  # not open for writing
            opened.model.truncate(size)
            self.portal.call(opened.ours.truncate, size)
        before = bytes(opened.model.content)
        results = self.portal.call(self._at_once, opened.ours, steps, pause)
        for step, result in zip(steps, results):  # noqa: B905  one for each
            self._settle(opened, step, result)
        assert len(before) == len(opened.model.content)
        self._compare(opened)

    async def _at_once(
        self, file: OurFile, steps: list[tuple[int, str, int, bool]], pause: int
    ) -> list[tuple[str, Any]]:
        tasks = [
            Task.start(getattr(file, kind), *_arguments(region, kind, seed))
            for region, kind, seed, _ in steps
        ]
        for _ in range(pause):
            await checkpoint()
        for task, step in zip(tasks, steps):  # noqa: B905  one for each
            if step[3]:
                task.cancel()
        return [await _ending_of(task) for task in tasks]

    def _settle(
        self, opened: Opened, step: tuple[int, str, int, bool], result: tuple[str, Any]
    ) -> None:
        """One that was cancelled is done, or not, or a part of it; any other is done."""
        region, kind, seed, _ = step
        start, end = region * BLOCK, (region + 1) * BLOCK
        arguments = _arguments(region, kind, seed)
        before = bytes(opened.model.content[start:end])
        theirs = ending(getattr(opened.system, kind), *arguments)
        if result[0] != "cancelled":
            assert result == theirs, (kind, result, theirs)
        if theirs[0] == "errno":
            return
        assert theirs[1] == getattr(opened.model, kind)(*arguments)
        if result[0] == "cancelled" and kind not in READS:
            now = os.pread(opened.ours.file.fileno(), BLOCK, start)
            after = bytes(opened.model.content[start:end])
            # Requests of one write_many have no order: the last may be done, and the first not.
            third = BLOCK // 3
            for part in (
                [slice(third), slice(third, None)] if kind == "write_many" else [slice(None)]
            ):
                assert _is_begun(now[part], before[part], after[part]), kind
            for file in (opened.system, opened.model):
                file.write(start, now)

    # -- names

    @rule(step=name_steps)
    def change_names(self, step: tuple[str, tuple[Any, ...]]) -> None:
        kind, arguments = step
        theirs = ending(getattr(self.system, kind), *arguments)
        ours = ending(self.portal.call, getattr(self.ours, kind), *arguments)
        assert ours == theirs, (step, ours, theirs)
        if theirs[0] == "result":
            getattr(self.model, kind)(*arguments)
        self._compare_names()

    @rule(step=name_steps, pause=turns)
    def change_names_cancelled(self, step: tuple[str, tuple[Any, ...]], pause: int) -> None:
        """It is done or not, and nothing between."""
        kind, arguments = step
        before = inodes(self.ours.root)  # contents may be alike
        result = self.portal.call(self._cancelled, getattr(self.ours, kind), arguments, pause)
        if inodes(self.ours.root) != before:
            theirs = ending(getattr(self.system, kind), *arguments)
            assert theirs[0] == "result"
            getattr(self.model, kind)(*arguments)
        elif result[0] != "cancelled":
            theirs = ending(getattr(self.system, kind), *arguments)
            assert result == theirs
            if theirs[0] == "result":
                getattr(self.model, kind)(*arguments)
        self._compare_names()

    async def _cancelled(
        self, function: Callable[..., Awaitable[Any]], arguments: tuple[Any, ...], pause: int
    ) -> tuple[str, Any]:
        task = Task.start(function, *arguments)
        for _ in range(pause):
            await checkpoint()
        task.cancel()
        return await _ending_of(task)

    def _compare_names(self) -> None:
        expected = self.model.look()
        assert look(self.ours.root) == expected
        assert look(self.system.root) == expected


def _arguments(region: int, kind: str, seed: int) -> tuple[Any, ...]:
    return region * BLOCK, pattern(seed, BLOCK) if kind in WRITES else BLOCK


async def _ending_of(task: Task[Any]) -> tuple[str, Any]:
    try:
        return "result", await task.join()
    except OSError as error:
        return "errno", error.errno
    except CancelledTaskError:
        return "cancelled", None
