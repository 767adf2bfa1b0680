"""The build script of the C core: what it finds, what it says, and when it refuses."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from asyncuring._native import build

NO_COMPILER = "asyncuring-no-such-compiler"


@pytest.fixture(autouse=True)
def no_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CC", "ASYNCURING_REQUIRE_URING", "ASYNCURING_WITHOUT_URING", "ASYNCURING_WERROR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the core's folder, and for the system's: what the build finds is there."""
    for name in ("core.c", "uring.c", "_core.c", "boundary.h", "queue.h"):
        (tmp_path / name).touch()
    (tmp_path / "boundary.h").write_text("#pragma once\nint asyncuring_has_uring(void);\n")
    (tmp_path / "pkgconfig").mkdir()
    (tmp_path / "pkgconfig" / "liburing.pc").write_text("Name: liburing\nVersion: 2.99\n")
    monkeypatch.setattr(build, "FOLDER", tmp_path)
    monkeypatch.setattr(build, "liburing_files", lambda: [tmp_path / "liburing.a"])
    return tmp_path


def settings() -> dict[str, Any]:
    """What the builder is going to tell setuptools."""
    (_, _, _, keywords) = vars(build.ffibuilder())["_assigned_source"]
    return dict(keywords)


def test_preprocessor_lines_are_kept_from_cffi(folder: Path) -> None:
    assert build.declarations() == "int asyncuring_has_uring(void);"
    assert (folder / "boundary.h").read_text() != build.declarations()


def test_liburing_that_links_is_built_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "links", lambda _library: True)
    found = settings()
    assert [Path(source).name for source in found["sources"]] == ["core.c", "uring.c"]
    assert ("ASYNCURING_LIBURING_VERSION", '"2.99"') in found["define_macros"]
    assert found["extra_objects"] == [str(folder / "liburing.a")]
    assert "-Werror" not in found["extra_compile_args"]
    assert "building with io_uring" in capsys.readouterr().out


def test_shared_liburing_is_said_to_be_needed_at_run_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "links", lambda library: library.suffix == ".so")
    monkeypatch.setattr(
        build, "liburing_files", lambda: [folder / "liburing.a", folder / "liburing.so"]
    )
    assert settings()["extra_objects"] == [str(folder / "liburing.so")]
    assert "needs it at run time" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("files", "said"), [(["liburing.a"], "does not link"), ([], "liburing was not found")]
)
def test_without_liburing_the_build_goes_on_and_says_so(
    files: list[str],
    said: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(build, "links", lambda _library: False)
    monkeypatch.setattr(build, "liburing_files", lambda: [folder / name for name in files])
    found = settings()
    assert [Path(source).name for source in found["sources"]] == ["core.c"]
    assert found["define_macros"] == found["extra_objects"] == []
    out = capsys.readouterr().out
    assert "WITHOUT io_uring" in out
    assert said in out
    assert "apt-get install liburing-dev" in out


@pytest.mark.parametrize(
    ("variable", "platform", "said"),
    [
        ("ASYNCURING_WITHOUT_URING", sys.platform, "ASYNCURING_WITHOUT_URING=1 is set"),
        ("ASYNCURING_WERROR", "darwin", "this is darwin"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_required_io_uring_that_is_missing_stops_the_build(
    variable: str, platform: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "1")
    monkeypatch.setattr(sys, "platform", platform)
    assert settings()["extra_objects"] == []
    monkeypatch.setenv("ASYNCURING_REQUIRE_URING", "1")
    with pytest.raises(SystemExit, match=said):
        build.ffibuilder()


@pytest.mark.usefixtures("folder")
def test_warnings_become_errors_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCURING_WERROR", "1")
    monkeypatch.setenv("ASYNCURING_WITHOUT_URING", "1")
    assert "-Werror" in settings()["extra_compile_args"]


def test_version_without_a_description_is_unknown(tmp_path: Path) -> None:
    assert build.version_of(tmp_path / "liburing.a") == "unknown"


def test_a_file_that_is_no_library_does_not_link(tmp_path: Path) -> None:
    library = tmp_path / "liburing.a"
    library.write_text("no archive")
    assert not build.links(library)


def test_without_a_compiler_nothing_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", NO_COMPILER)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.liburing_files() == []
    assert not build.links(tmp_path / "liburing.a")


def test_this_machine_is_looked_at() -> None:
    for library in build.liburing_files():
        assert library.is_absolute()
        assert library.stem == "liburing"
