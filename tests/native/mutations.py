"""Weakens the lock-free parts of the C core in one place at a time, and has their tests fail.

Each mutation names the check that must notice it: queue_stress or another program of this folder,
plain or under a sanitizer. An `argued` one changes nothing that any run could show on this machine,
and says why; it must pass, so that the argument is looked at again when it no longer does. One for
the `model` shows at run time by chance, or on other processors, if at all: the mutation of the
model that is the same stands in model/runs as found, and `.ci/model` sees to that.

Usage: python tests/native/mutations.py [--seconds N] [word ...]: those with a word in their name.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from asyncuring._native import build as core_build

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "src" / "asyncuring" / "_native"
TESTS = ROOT / "tests" / "native"
OUT = ROOT / "build" / "mutations"
TABLE = Path(__file__).with_name("mutations.txt")

# A hang is one after so many looks of the watchdog; a build or a run never takes so long.
LOOKS = 6
SECONDS_MAX = 300
KINDS = {
    "plain": ["-O2"],
    "thread": ["-O1", "-fsanitize=thread"],
}


class Mutation(NamedTuple):
    """One place to weaken: `old` in `files`' first becomes `new`."""

    name: str
    check: str  # "program kind", or "argued: why"
    edits: list[tuple[str, str, str]]  # file, old, new


def mutations() -> list[Mutation]:
    """Read the table: a name, the check, and blocks of file, old and new text."""
    found = []
    for block in TABLE.read_text().split("\n=== ")[1:]:
        head, *parts = block.split("\n--- ")
        name, check = head.strip().splitlines()
        edits = []
        for part in parts:
            file, text = part.split("\n", 1)
            old, new = text.split("\n>>>\n")
            edits.append((file, old, new.removesuffix("\n")))
        found.append(Mutation(name, check, edits))
    return found


def mutated(mutation: Mutation) -> Path:
    """Copy core and tests, with the mutation in them."""
    folder = OUT / "tree"
    shutil.rmtree(folder, ignore_errors=True)
    for origin in (CORE, TESTS):
        shutil.copytree(origin, folder / origin.name, ignore=shutil.ignore_patterns("*.so"))
    for name, old, new in mutation.edits:
        path = next(folder.glob(f"*/{name}"))
        text = path.read_text()
        if text.count(old) != 1:
            sys.exit(f"{mutation.name}: {name} has {text.count(old)} times: {old}")
        path.write_text(text.replace(old, new))
    return folder


def build(folder: Path, program: str, kind: str) -> Path:
    """Compile a program of the mutated tree; queue_stress needs nothing of the core but headers."""
    core = folder / CORE.name
    sources = [] if program == "queue_stress" else sorted(core.glob("*.c"))
    settings = [] if program == "queue_stress" else liburing()
    out = folder / program
    command = [os.environ.get("CC", "cc"), "-std=gnu11", "-g", "-w", "-pthread", *KINDS[kind]]
    command += [f"-DWATCHDOG_LOOKS_MAX={LOOKS}", f"-I{core}", "-o", str(out)]
    command += [str(path) for path in (folder / TESTS.name / f"{program}.c", *sources)]
    subprocess.run([*command, *settings], check=True, timeout=SECONDS_MAX)
    return out


def liburing() -> list[str]:
    """Say how to build with liburing, as .ci/stress does."""
    library = core_build.find_liburing()[0]
    if library is None:
        sys.exit("the mutations of the ring need liburing")
    settings = ["-DASYNCURING_HAVE_LIBURING", '-DASYNCURING_LIBURING_VERSION=""']
    return [*settings, *core_build.include_args(), str(library)]


def outcome(program: Path, seconds: float) -> str:
    """Run it; empty if it has nothing to complain of, else its first words."""
    command = [str(program), str(seconds)]
    if shutil.which("setarch"):
        command = ["setarch", "-R", *command]
    environment = {**os.environ, "TSAN_OPTIONS": "halt_on_error=1"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=SECONDS_MAX, env=environment
    )
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stderr.splitlines() if line.strip("= ")]
    return lines[0] if lines else f"ended with {done.returncode}"


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Try all, or those that are named; 1 if any went unnoticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("words", nargs="*")
    arguments = parser.parse_args()
    wrong = 0
    for mutation in mutations():
        if arguments.words and not any(word in mutation.name for word in arguments.words):
            continue
        if mutation.check.startswith("model "):
            mutated(mutation)  # it must still apply
            _, model, setting = mutation.check.split()
            seen = f"{model} found {setting}" in (TESTS / "model" / "runs").read_text().splitlines()
            wrong += not seen
            say(f"{mutation.name}: {mutation.check}: {'noticed' if seen else 'WRONG: not tried'}")
            continue
        argued = mutation.check.startswith("argued")
        check = "queue_stress thread" if argued else mutation.check
        if mutation.check.startswith("argued driver_stress"):
            check = "driver_stress plain"
        program, kind = check.split()
        built = build(mutated(mutation), program, kind)
        started = time.monotonic()
        said = outcome(built, arguments.seconds)
        verdict = "noticed" if said else "not noticed"
        right = bool(said) != argued
        wrong += not right
        mark = "" if right else "WRONG: "
        seconds = time.monotonic() - started
        say(f"{mark}{mutation.name}: {mutation.check}: {verdict} ({seconds:.1f} s) {said}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
