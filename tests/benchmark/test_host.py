"""The facts of the machine that stand before all records."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from asyncuring.benchmark.disk import block_device_of
from asyncuring.benchmark.host import host_record, mount_facts, packages

COMMAND = ["--clients", "1"]


def test_the_host_record_has_what_results_depend_on(tmp_path: Path) -> None:
    host = host_record(tmp_path, COMMAND)
    assert (host["kind"], host["command"]) == ("host", COMMAND)
    assert host["kernel"] == platform.release()
    assert host["python"].endswith(platform.python_version())
    assert host["packages"]["asyncuring"] == version("asyncuring")
    assert host["packages"]["trio"] == version("trio")
    assert host["memory_bytes"] > 1 << 20
    assert host["vm"]["swappiness"] == int(Path("/proc/sys/vm/swappiness").read_text())
    assert host["vm"]["dirty_ratio"] == int(Path("/proc/sys/vm/dirty_ratio").read_text())


def test_the_version_of_liburing_is_that_of_the_librarys_own_report(tmp_path: Path) -> None:
    report = subprocess.run(
        (sys.executable, "-m", "asyncuring"), capture_output=True, text=True, check=True
    ).stdout
    assert f"  liburing                    {host_record(tmp_path, COMMAND)['liburing']}\n" in report


def test_programs_that_are_missing_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fio = host_record(tmp_path, COMMAND)["fio"]
    assert fio is None if shutil.which("fio") is None else re.match(r"fio-\d", fio)
    monkeypatch.setenv("PATH", str(tmp_path))
    host = host_record(tmp_path, COMMAND)
    assert (host["fio"], host["commit"]) == (None, None)


def test_all_packages_that_are_compared_are_named() -> None:
    names = packages()
    assert names[0] == "asyncuring"
    assert {"aiofile", "pyaio", "trio", "turbofile", "uring-api", "uvloop"} <= set(names)
    assert "pytest" not in names
    assert len(names) == len(set(names))


def test_a_block_device_has_its_queue(tmp_path: Path) -> None:
    device = host_record(tmp_path, COMMAND)["block_device"]
    number = block_device_of(tmp_path)
    if number is None:
        assert device is None
        pytest.skip("the temporary folder is on no block device")
    assert Path("/sys/class/block", device["name"], "dev").read_text().strip() == "{}:{}".format(
        *number
    )
    assert device["rotational"] in (True, False, None)
    assert device["logical_block_size"] in (512, 4096)
    assert device["scheduler"] is None or "[" not in device["scheduler"]


def test_memory_and_the_kernels_own_files_are_on_no_block_device() -> None:
    assert host_record(Path("/proc"), COMMAND)["block_device"] is None
    facts = mount_facts(Path("/proc"))
    assert (facts["file_system"], facts["device"]) == ("proc", "proc")
    assert str(facts["mount_options"]).split(",")[0] in ("ro", "rw")
