"""Compiles the C core (`boundary.h` and the `*.c` beside this file) into `_core`, with cffi.

Run by setuptools (`cffi_modules` in setup.py), never imported by the library. `boundary.h` is
read twice: by `ffi.cdef`, without its preprocessor lines, and by the C compiler.

liburing is linked statically, so that what is built needs no system library; the shared library is
taken where a distribution has no archive (Fedora, Arch). Where neither is found, the core is built
without `uring.c` and serves files from native threads only.

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


def liburing_files() -> list[Path]:
    """Where liburing stands, by pkg-config's word and by the compiler's: archives first."""
    folder = Path(answer("pkg-config", "--variable=libdir", "liburing"))
    candidates = [
        path
        for name in ("liburing.a", "liburing.so")
        for path in (folder / name, Path(answer(*compiler(), f"-print-file-name={name}")))
    ]
    # The compiler repeats a name that it does not know, and that is no absolute path.
    found = [Path(os.path.normpath(path)) for path in candidates if path.is_absolute()]
    return [path for path in dict.fromkeys(found) if path.is_file()]


def include_args() -> list[str]:
    """Where liburing.h is, if not in the compiler's own folders."""
    return shlex.split(answer("pkg-config", "--cflags-only-I", "liburing"))


def version_of(library: Path) -> str:
    """The version of liburing, from the description beside the library."""
    description = library.parent / "pkgconfig" / "liburing.pc"
    if description.is_file():
        for line in description.read_text().splitlines():
            if line.startswith("Version:"):
                return line.removeprefix("Version:").strip()
    return "unknown"


def links(library: Path) -> bool:
    """Whether a shared object can be made with `library`, nothing left undefined."""
    program = shutil.which(compiler()[0])
    if program is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "probe.c"
        source.write_text(PROBE)
        command = [program, *compiler()[1:], *include_args(), "-std=gnu11", "-shared", "-fPIC"]
        command += ["-pthread", str(source), str(library), "-Wl,-z,defs"]
        command += ["-o", str(source.with_suffix(".so"))]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def find_liburing() -> tuple[Path | None, str]:
    """The library to link, or None; and why, in one sentence."""
    if os.environ.get("ASYNCURING_WITHOUT_URING") == "1":
        return None, "ASYNCURING_WITHOUT_URING=1 is set"
    if sys.platform != "linux":
        return None, f"io_uring is Linux's, this is {sys.platform}"
    libraries = liburing_files()
    for library in libraries:
        if links(library):
            shared = library.suffix == ".so"
            consequence = " (shared: what is built here needs it at run time)" if shared else ""
            return library, f"liburing is linked from {library}{consequence}"
    if libraries:
        reason = f"{libraries[0]} does not link, or its header liburing.h is missing or too old"
    else:
        reason = "liburing was not found"
    return None, f"{reason}; to get it: {HOW_TO_GET_LIBURING}"


def declarations() -> str:
    """`boundary.h` as `ffi.cdef` takes it: without preprocessor lines."""
    lines = (FOLDER / "boundary.h").read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("#"))


def ffibuilder() -> FFI:
    """Describe `asyncuring._native._core`, with io_uring if this machine has liburing."""
    library, reason = find_liburing()
    if library is None:
        if os.environ.get("ASYNCURING_REQUIRE_URING") == "1":
            message = f"asyncuring: ASYNCURING_REQUIRE_URING=1, but {reason}"
            raise SystemExit(message)
        print(f"asyncuring: building WITHOUT io_uring (threads driver only): {reason}")
    else:
        print(f"asyncuring: building with io_uring: {reason}")

    # A leading underscore marks what cffi generated.
    sources = sorted(
        path for path in FOLDER.glob("[a-z]*.c") if library or not path.name.startswith("uring")
    )
    werror = ["-Werror"] if os.environ.get("ASYNCURING_WERROR") == "1" else []
    macros = []
    if library:
        macros = [
            ("ASYNCURING_HAVE_LIBURING", "1"),
            ("ASYNCURING_LIBURING_VERSION", f'"{version_of(library)}"'),
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
        extra_compile_args=[*COMPILE_ARGS, *werror, *(include_args() if library else [])],
        extra_objects=[str(library)] if library else [],
        # Another copy of liburing in the process must not get in the way of ours, nor ours of it.
        extra_link_args=["-pthread", *(["-Wl,--exclude-libs,ALL"] if library else [])],
    )
    return builder
