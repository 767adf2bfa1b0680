"""A server of the example `kv_server.py` as a process, and a client that speaks to it."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parent.parent
SERVER = ROOT / "docs" / "examples" / "kv_server.py"
PROGRAM = (str(SERVER),)
SECONDS_MAX = 20


class Connection:
    """A client: what it sends is bytes, what it gets is counted."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS_MAX)
        self._buffer = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self, length: int) -> bytes:
        """Return exactly so many bytes, or fewer if the server ends the connection."""
        while len(self._buffer) < length:
            data = self.socket.recv(1 << 16)
            if not data:
                break
            self._buffer += data
        found, self._buffer = self._buffer[:length], self._buffer[length:]
        return found

    def ask(self, request: bytes, reply: bytes) -> None:
        """Send a request, and expect exactly this reply."""
        self.send(request)
        assert self.receive(len(reply)) == reply

    def end(self) -> bytes:
        """Return what comes until the server ends the connection."""
        return self.receive(1 << 30)


def words(*arguments: bytes | str) -> bytes:
    """Encode a request."""
    encoded = [word.encode() if isinstance(word, str) else word for word in arguments]
    parts = [b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded]
    return b"*%d\r\n" % len(parts) + b"".join(parts)


@contextmanager
def server(
    log: Path, *options: str, program: Sequence[str] = PROGRAM
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start a server on a free port; gives the process and the port, and ends it."""
    command = [sys.executable, "-W", "error", *program, str(log), "--port", "0", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line.startswith("ready on "):
                raise RuntimeError(process.communicate(timeout=SECONDS_MAX)[1])
            yield process, int(line.rpartition(":")[2])
        finally:
            process.kill()


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end of a server; returns its exit status and what it complained of."""
    _, errors = process.communicate(timeout=SECONDS_MAX)
    return process.returncode, errors
