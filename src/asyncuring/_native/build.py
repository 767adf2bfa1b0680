"""Compiles the C core (`boundary.h` and the `*.c` beside this file) into `_core`, with cffi.

Run by setuptools (`cffi_modules` in setup.py), never imported by the library. `boundary.h` is
read twice: by `ffi.cdef`, without its preprocessor lines, and by the C compiler.

liburing is linked statically, so that what is built needs no system library. Where it is not
found, the core is built without `uring.c` and serves files from native threads only.

Environment:
    ASYNCURING_REQUIRE_URING=1   no liburing: fail, do not build without
    ASYNCURING_WITHOUT_URING=1   build without liburing, though it is there
    ASYNCURING_WERROR=1          the C compiler's warnings are errors
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from cffi import FFI

FOLDER = Path(__file__).parent

COMPILE_ARGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-pthread", "-fvisibility=hidden"]

HOW_TO_GET_LIBURING = (
    "apt-get install liburing-dev  |  dnf install liburing-devel  |  pacman -S liburing"
)

# Debian 12's shared liburing lacks symbols that its header declares, and a static archive may be
# compiled in a way that no shared object can take in. So what counts is that this links.
PROBE = """
#include <liburing.h>
int asyncuring_probe(void);
int asyncuring_probe(void)
{
    struct io_uring ring;
    struct io_uring_params params = {0};
    unsigned int workers_max[2] = {0, 0};
    int result = io_uring_queue_init_params(8, &ring, &params);
    if (result == 0) {
        io_uring_prep_nop(io_uring_get_sqe(&ring));
        result = io_uring_submit_and_wait(&ring, 1);
        io_uring_enable_rings(&ring);
        io_uring_register_iowq_max_workers(&ring, workers_max);
        io_uring_queue_exit(&ring);
    }
    return result;
}
"""


def compiler() -> list[str]:
    """The C compiler that setuptools is going to use."""
    return shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")


def answer(*command: str) -> str:
    """What `command` prints; nothing if it fails or does not exist."""
    program = shutil.which(command[0])
    if program is None:
        return ""
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def liburing_archives() -> list[Path]:
    """Places where liburing.a stands: by pkg-config's word, then by the compiler's."""
    folder = answer("pkg-config", "--variable=libdir", "liburing")
    candidates = [
        *([Path(folder) / "liburing.a"] if folder else []),
        Path(answer(*compiler(), "-print-file-name=liburing.a")),
    ]
    return [archive.resolve() for archive in candidates if archive.is_file()]


def include_args() -> list[str]:
    """Where liburing.h is, if not in the compiler's own folders."""
    return shlex.split(answer("pkg-config", "--cflags-only-I", "liburing"))


def version_of(archive: Path) -> str:
    """liburing's version, from the description beside the archive."""
    description = archive.parent / "pkgconfig" / "liburing.pc"
    if description.is_file():
        for line in description.read_text().splitlines():
            if line.startswith("Version:"):
                return line.removeprefix("Version:").strip()
    return "unknown"


def links(archive: Path) -> bool:
    """Whether a shared object can be made with `archive` inside."""
    program = shutil.which(compiler()[0])
    if program is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "probe.c"
        source.write_text(PROBE)
        command = [program, *compiler()[1:], *include_args(), "-std=gnu11", "-shared", "-fPIC"]
        command += ["-pthread", str(source), str(archive), "-Wl,-z,defs"]
        command += ["-o", str(source.with_suffix(".so"))]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def find_liburing() -> tuple[Path | None, str]:
    """The archive to link, or None; and why, in one sentence."""
    if os.environ.get("ASYNCURING_WITHOUT_URING") == "1":
        return None, "ASYNCURING_WITHOUT_URING=1 is set"
    if sys.platform != "linux":
        return None, f"io_uring is Linux's, this is {sys.platform}"
    archives = liburing_archives()
    for archive in archives:
        if links(archive):
            return archive, f"liburing is linked from {archive}"
    if archives:
        return None, f"{archives[0]} does not link into a shared object, or liburing.h is missing"
    return None, f"liburing.a was not found; to get it: {HOW_TO_GET_LIBURING}"


def declarations() -> str:
    """`boundary.h` as `ffi.cdef` takes it: without preprocessor lines."""
    lines = (FOLDER / "boundary.h").read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("#"))


def ffibuilder() -> FFI:
    """Describe `asyncuring._native._core`, with io_uring if this machine has liburing."""
    archive, reason = find_liburing()
    if archive is None:
        if os.environ.get("ASYNCURING_REQUIRE_URING") == "1":
            message = f"asyncuring: ASYNCURING_REQUIRE_URING=1, but {reason}"
            raise SystemExit(message)
        print(f"asyncuring: building WITHOUT io_uring (threads driver only): {reason}")
    else:
        print(f"asyncuring: building with io_uring: {reason}")

    # A leading underscore marks what cffi generated.
    sources = sorted(path for path in FOLDER.glob("[a-z]*.c") if archive or path.name != "uring.c")
    werror = ["-Werror"] if os.environ.get("ASYNCURING_WERROR") == "1" else []
    macros = []
    if archive:
        macros = [
            ("ASYNCURING_HAVE_LIBURING", "1"),
            ("ASYNCURING_LIBURING_VERSION", f'"{version_of(archive)}"'),
        ]
    builder = FFI()
    builder.cdef(declarations())
    builder.set_source(
        "asyncuring._native._core",
        '#include "boundary.h"',
        sources=[path.as_posix() for path in sources],
        depends=[path.as_posix() for path in (*sorted(FOLDER.glob("*.h")), Path(__file__))],
        include_dirs=[FOLDER.as_posix()],
        define_macros=macros,
        extra_compile_args=[*COMPILE_ARGS, *werror, *(include_args() if archive else [])],
        extra_objects=[str(archive)] if archive else [],
        # Another copy of liburing in the process must not get in the way of ours, nor ours of it.
        extra_link_args=["-pthread", *(["-Wl,--exclude-libs,ALL"] if archive else [])],
    )
    return builder
