"""The Redis protocol (RESP 2), as a server reads and writes it.

A request is an array of bulk strings, or a line of words, as a person types it ("inline").
https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

INLINE_BYTES_MAX = 64 * 1024  # as Redis (PROTO_INLINE_MAX_SIZE)
ARGUMENTS_MAX = 1024 * 1024  # as Redis
BULK_BYTES_MAX = 16 << 20
REQUEST_BYTES_MAX = 64 << 20  # all arguments together
DIGITS_MAX = 20  # of 64 bits, with a sign

OK = b"+OK\r\n"
NIL = b"$-1\r\n"


class ProtocolError(Exception):
    """The client does not speak the protocol, or asks for too much; nothing behind it counts."""


class Requests:
    """Cuts what a client sends into requests, however it arrives."""

    def __init__(self) -> None:
        self._buffer = b""
        self._off = 0  # where in the buffer to go on
        self._arguments: list[bytes] = []  # of a request that has begun
        self._missing = 0  # arguments that it still lacks
        self._length = -1  # of the argument that comes next, once that is known
        self._bytes = 0  # in the arguments so far

    def feed(self, data: bytes) -> None:
        """Take what the client has sent."""
        self._buffer = self._buffer[self._off :] + data if self._off < len(self._buffer) else data
        self._off = 0

    def next(self) -> list[bytes] | None:
        """Return the next whole request, which may be empty; None: more has to arrive first.

        Raises:
            ProtocolError: there is no way to go on.
        """
        if not self._missing:
            line = self._line()
            if line is None:
                return None
            if not line.startswith(b"*"):
                return _words(line)
            self._arguments, self._bytes = [], 0
            self._missing = max(0, _number(line, ARGUMENTS_MAX, "multibulk"))
        while self._missing:
            if self._length < 0:
                line = self._line()
                if line is None:
                    return None
                if not line.startswith(b"$"):
                    raise ProtocolError(f"expected '$', got '{line[:1].decode('latin-1')}'")
                self._length = _number(line, BULK_BYTES_MAX, "bulk")
                self._bytes += self._length
                if self._length < 0 or self._bytes > REQUEST_BYTES_MAX:
                    raise ProtocolError("invalid bulk length")
            end = self._off + self._length
            if len(self._buffer) < end + 2:
                return None
            self._arguments.append(self._buffer[self._off : end])
            self._off, self._length = end + 2, -1
            self._missing -= 1
        return self._arguments

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\n", self._off)
        if (end if end >= 0 else len(self._buffer)) - self._off > INLINE_BYTES_MAX:
            raise ProtocolError("too big inline request")
        if end < 0:
            return None
        line = self._buffer[self._off : end]
        self._off = end + 1
        return line[:-1] if line.endswith(b"\r") else line


def _number(line: bytes, most: int, what: str) -> int:
    digits = line[1:]
    if not digits.removeprefix(b"-").isdigit() or len(digits) > DIGITS_MAX or int(digits) > most:
        raise ProtocolError(f"invalid {what} length")
    return int(digits)


def _words(line: bytes) -> list[bytes]:
    if b'"' not in line and b"'" not in line:
        return line.split()
    try:  # latin-1 keeps each byte what it is
        return [word.encode("latin-1") for word in shlex.split(line.decode("latin-1"))]
    except ValueError:
        raise ProtocolError("unbalanced quotes in request") from None


def bulk(value: bytes | None) -> bytes:
    """Encode a string."""
    return NIL if value is None else b"$%d\r\n%b\r\n" % (len(value), value)


def array(values: Iterable[bytes]) -> bytes:
    """Encode an array of strings: a request is one, too."""
    encoded = [bulk(value) for value in values]
    return b"*%d\r\n%b" % (len(encoded), b"".join(encoded))


def number(value: int) -> bytes:
    """Encode a number."""
    return b":%d\r\n" % value


def error(text: str) -> bytes:
    """Encode an error; its first word is its kind, as in "ERR syntax error"."""
    return b"-%b\r\n" % text.replace("\r", " ").replace("\n", " ").encode("utf-8", "replace")
