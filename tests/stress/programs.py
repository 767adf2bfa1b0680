"""Programs that run beside each other for a test: nothing that they say of a failure is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]


def run_programs_beside(
    programs: Iterable[list[str]], capfd: pytest.CaptureFixture[str]
) -> list[Any]:
    """Run them at once, each given by Python's arguments; returns what each printed, from JSON.

    They write to the test's own stderr, and anything there is a failure. Its message is all of it:
    pytest shortens values that an assertion compares, but not messages, and on CI repeats them in
    its summary. If the test is out of time, pytest shows what was captured: also where the programs
    are, if they have a faulthandler.
    """
    capfd.readouterr()
    with ExitStack() as stack:
        running = []
        for arguments in programs:
            program = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            running.append(stack.enter_context(program))
            stack.callback(_end, program)
        printed = [program.communicate()[0] for program in running]
    codes = [program.returncode for program in running]
    said = capfd.readouterr().err
    if said or any(codes):
        pytest.fail(f"Programs ended with {codes}, and said:\n{said}")
    return [json.loads(text) for text in printed]


def _end(program: subprocess.Popen[str]) -> None:
    """End a program that nobody waits for any more, and its children."""
    if program.poll() is None:
        os.killpg(program.pid, signal.SIGABRT)
