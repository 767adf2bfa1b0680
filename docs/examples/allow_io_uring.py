"""Adds io_uring to a seccomp profile: allow_io_uring.py default.json > with-io-uring.json."""

import json
import sys
from pathlib import Path
from typing import Any

ALLOWED = {
    "names": ["io_uring_setup", "io_uring_enter", "io_uring_register"],
    "action": "SCMP_ACT_ALLOW",
}

profile: dict[str, Any] = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": []}
if len(sys.argv) > 1:
    profile = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
profile["syscalls"].append(ALLOWED)
json.dump(profile, sys.stdout, indent=2)
