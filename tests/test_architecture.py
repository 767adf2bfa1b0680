"""The house's floors, words and sizes, read from the source: ARCHITECTURE.md as a test."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
LIBRARY = ROOT / "src" / "asyncuring"
PYTHON_FILES = sorted(LIBRARY.rglob("*.py"))
C_FILES = sorted(LIBRARY.rglob("*.[ch]"))
TEST_FILES = sorted(
    path for kind in ("*.py", "*.[ch]") for path in Path(__file__).parent.rglob(kind)
)

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

# What a part of the library may import of the others. `asyncuring` stands for the public names.
GROUND = {"_op", "_errors"}
MIDDLE = GROUND | {"_loops", "_drivers"}
UPPER = MIDDLE | {"_proactor", "_account"}
FILES = GROUND | {"_proactor", "_account", "_runtime"}
FLOORS: dict[str, set[str]] = {
    "_histogram": set(),
    "_op": set(),
    "_errors": set(),
    "_io_class": set(),
    "_flows": {"_io_class", "_op"},
    "_native": set(),
    "_loops": GROUND,
    "_drivers": GROUND | {"_histogram", "_native"},
    "_account": MIDDLE | {"_io_class", "_proactor"},
    "_slow_ops": {"_drivers", "_op"},
    "_proactor": MIDDLE | {"_cancelling", "_flows", "_io_class", "_routes", "_slow_ops"},
    "_cancelling": MIDDLE | {"_flows"},
    "_runtime": UPPER,
    # These know no loop and no driver: the runtime stands between.
    "_statistics": FILES
    | {"_histogram", "_io_class", "_pool_statistics", "_routes", "_statistics_text"},
    "_statistics_text": {"_histogram", "_statistics"},
    "_memory": {"_drivers"},
    "_pool_statistics": {"_runtime"},
    "_buffers": FILES | {"_memory", "_pool_statistics"},
    "_arguments": set(),
    "_inline": set(),
    "_closing": FILES,
    "_routes": set(),
    "_sides": FILES | {"_routes"},
    "_barrier": FILES,
    "_handle": FILES | {"_barrier", "_inline", "_closing", "_sides"},
    "_chain": FILES | {"_arguments"},
    "_file_order": FILES | {"_arguments", "_barrier", "_chain", "_handle"},
    "_file_status": set(),
    "_flags": set(),
    "_locking": FILES | {"_io_class"},
    "_file_calls": FILES | {"_arguments", "_file_order", "_file_status", "_locking"},
    "_file_vectors": FILES | {"_arguments", "_file_calls", "_flags"},
    "_file": FILES | {"_arguments", "_buffers", "_file_vectors", "_io_class", "_routes", "_sides"},
    "_appending": FILES | {"_file"},
    "_group_commit": FILES | {"_arguments", "_file"},
    "_opening": FILES | {"_appending", "_arguments", "_file", "_handle"},
    "_names": FILES | {"_arguments", "_opening"},
    "_replacing": FILES | {"_arguments", "_opening"},
    "__init__": FILES
    | {"_appending", "_buffers", "_chain", "_file", "_file_calls", "_file_status", "_handle"}
    | {"_group_commit", "_histogram", "_io_class", "_names", "_opening"}
    | {"_pool_statistics", "_replacing", "_slow_ops", "_statistics"},
    "_report": {"_drivers", "_runtime", "_statistics_text", "asyncuring"},
    "__main__": {"_report"},
    "_metrics": {"asyncuring"},
    "prometheus": {"_metrics", "asyncuring"},
    "opentelemetry": {"_metrics", "asyncuring"},
    # The runtime, to keep a driver running between calls.
    "integrations": {"_runtime", "asyncuring"},
    "testing": {"asyncuring"},
    "benchmark": {"asyncuring"},
}

# Modules with exactly one importer in the library.
ONLY_IMPORTERS = {
    "asyncio": "_loops/_asyncio.py",
    "trio": "_loops/_trio.py",
    "asyncuring._native._core": "_drivers/native.py",
}

# These run loops of their own, as any program does, or serve a package that is asyncio's alone.
LOOP_RUNNERS = ("benchmark/", "integrations/", "_report.py", "testing/_clock.py")

BANNED_NAMES = {"manager", "handler", "helper", "helpers", "utils", "util", "common", "base"}
# A storage engine is what our users write; any other engine is one of the benchmark's contenders.
BANNED_WORD = re.compile(r"(?<!storage )(?<!storage-)engine", re.IGNORECASE)


def name_of(path: Path) -> str:
    return path.relative_to(LIBRARY if path.is_relative_to(LIBRARY) else ROOT).as_posix()


def part_of(module: str) -> str:
    """`asyncuring._loops._trio` is of the part `_loops`; a public name is of `asyncuring`."""
    inner = [*module.split(".")[1:], ""][0]
    return inner if inner in FLOORS else "asyncuring"


def imported_modules(source: str, package: str) -> Iterator[str]:
    """Every module named by an import anywhere in `source`, of a module inside `package`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            origin = [*(above if node.level else []), *([node.module] if node.module else [])]
            yield from (".".join([*origin, alias.name]) for alias in node.names)


def package_of(name: str) -> str:
    return ".".join(["asyncuring", *Path(name).parent.parts])


def forbidden_arrows(name: str, source: str) -> list[str]:
    """The imports in file `name` that point to a floor it must not know."""
    part = Path(name).parts[0].removesuffix(".py")
    allowed = FLOORS[part] | {part}
    ours = [
        module
        for module in imported_modules(source, package_of(name))
        if module.split(".")[0] == "asyncuring"
    ]
    return [module for module in ours if part_of(module) not in allowed]


def forbidden_importers(name: str, source: str) -> list[str]:
    """The imports in file `name` that belong to one other file alone."""
    if name.startswith(LOOP_RUNNERS):
        return []
    return [
        module
        for module in imported_modules(source, package_of(name))
        for owned, owner in ONLY_IMPORTERS.items()
        if f"{module}.".startswith(f"{owned}.") and name != owner
    ]


def words_of(name: str) -> set[str]:
    """`RingManager`, `ring_manager` and `_ringManager.py` all hold the word `manager`."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def definitions(source: str) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", PYTHON_FILES, ids=name_of)
def test_each_file_has_a_floor(path: Path) -> None:
    part = path.relative_to(LIBRARY).parts[0].removesuffix(".py")
    assert part in FLOORS, f"{name_of(path)}: give it its place in FLOORS and ARCHITECTURE.md"


def test_each_floor_has_a_part() -> None:
    parts = {path.relative_to(LIBRARY).parts[0].removesuffix(".py") for path in PYTHON_FILES}
    assert set(FLOORS) - parts == set()
    known = {name for below in FLOORS.values() for name in below}
    assert known - parts == {"asyncuring"}  # the public names are no part


@pytest.mark.parametrize("path", PYTHON_FILES, ids=name_of)
def test_imports_point_down_only(path: Path) -> None:
    assert forbidden_arrows(name_of(path), path.read_text()) == []


@pytest.mark.parametrize("path", PYTHON_FILES, ids=name_of)
def test_event_loops_and_the_core_have_one_importer_each(path: Path) -> None:
    assert forbidden_importers(name_of(path), path.read_text()) == []


@pytest.mark.parametrize("path", PYTHON_FILES, ids=name_of)
def test_no_banned_names(path: Path) -> None:
    names = [*path.relative_to(LIBRARY).parts]
    names += [definition.name for definition in definitions(path.read_text())]
    assert [name for name in names if words_of(name) & BANNED_NAMES] == []


@pytest.mark.parametrize("path", [*PYTHON_FILES, *C_FILES], ids=name_of)
def test_engine_is_a_word_of_the_benchmark(path: Path) -> None:
    if name_of(path).startswith("benchmark/"):
        return
    text = re.sub(r"[\s#*]+", " ", path.read_text())
    found = [text[max(0, m.start() - 30) : m.end() + 10] for m in BANNED_WORD.finditer(text)]
    assert found == []


@pytest.mark.parametrize("path", [*PYTHON_FILES, *C_FILES, *TEST_FILES], ids=name_of)
def test_files_are_short(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= FILE_LINES_MAX


@pytest.mark.parametrize(
    "path", [*PYTHON_FILES, *(p for p in TEST_FILES if p.suffix == ".py")], ids=name_of
)
def test_functions_are_short(path: Path) -> None:
    lengths = {
        node.name: (node.end_lineno or node.lineno) - node.lineno + 1
        for node in definitions(path.read_text())
        if not isinstance(node, ast.ClassDef)
    }
    assert {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES_MAX} == {}


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("_loops/_trio.py", "from asyncuring._drivers import native"),
        ("_loops/_trio.py", "from .._drivers import native"),
        ("_drivers/native.py", "import asyncuring._loops"),
        ("_op.py", "from asyncuring._errors import ClosedFileError"),
        ("_op.py", "from asyncuring import open_file"),
        ("_file.py", "from ._drivers.native import start_uring"),
        ("_proactor.py", "from asyncuring._runtime import lease"),
        ("_proactor.py", "def f():\n    from . import _runtime"),
        ("benchmark/cli.py", "from asyncuring._file import UringFile"),
        ("benchmark/engines/ours.py", "from ... import _runtime"),
        ("integrations/zarr.py", "from asyncuring._file import UringFile"),
        ("testing/__init__.py", "from asyncuring import _drivers"),
    ],
)
def test_a_wrong_arrow_is_seen(name: str, source: str) -> None:
    assert forbidden_arrows(name, source) != []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("_runtime.py", "import trio"),
        ("_loops/_trio.py", "import asyncio.events"),
        ("_loops/__init__.py", "from trio.lowlevel import checkpoint"),
        ("_drivers/simulated.py", "from asyncuring._native._core import lib"),
        ("_drivers/simulated.py", "from asyncuring._native import _core"),
    ],
)
def test_a_second_importer_is_seen(name: str, source: str) -> None:
    assert forbidden_importers(name, source) != []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("_file.py", "from asyncuring._op import Op\nimport os"),
        ("_drivers/native.py", "from asyncuring._native._core import ffi, lib"),
        ("_loops/_trio.py", "import trio\nfrom asyncuring._loops import Loop"),
        ("benchmark/cli.py", "import trio\nfrom asyncuring import open_file\nfrom . import trial"),
    ],
)
def test_a_right_arrow_passes(name: str, source: str) -> None:
    assert forbidden_arrows(name, source) == []
    assert forbidden_importers(name, source) == []
