"""What the commands of `kv_server.py` do. Knows no network and no disk.

A command that changes something says what to log: itself. To recover is to carry out again what was
logged, in its order.
"""

# ruff: noqa: SLF001  the table at the end names the methods of the class before it

from __future__ import annotations

from typing import TYPE_CHECKING

import resp

if TYPE_CHECKING:
    from collections.abc import Callable

INTEGER_MIN, INTEGER_MAX = -(1 << 63), (1 << 63) - 1


class CommandError(Exception):
    """The command cannot be carried out; its text begins with the kind of error."""


class Commands:
    """A database in memory, and the commands that are for it.

    log: what was to be logged since it was last emptied. is_over: somebody asked for the end.
    """

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.log: list[bytes] = []
        self.is_over = False

    def execute(self, request: list[bytes]) -> bytes:
        """Carry out a request; returns the reply."""
        try:
            command, fewest, most, is_change = COMMANDS[request[0].upper()]
        except KeyError:
            name = request[0][:128].decode("latin-1")
            return resp.error(f"ERR unknown command '{name}'")
        if not fewest <= len(request) <= most:
            return self._wrong_count(request)
        try:
            reply = command(self, request)
        except CommandError as error:
            return resp.error(str(error))
        if is_change:
            self.log.append(resp.array(request))
        return reply

    def recover(self, record: bytes) -> None:
        """Carry out what was logged."""
        requests = resp.Requests()
        requests.feed(record)
        while (request := requests.next()) is not None:
            self.execute(request)
        self.log.clear()

    @staticmethod
    def _wrong_count(request: list[bytes]) -> bytes:
        name = request[0].decode("latin-1").lower()
        return resp.error(f"ERR wrong number of arguments for '{name}' command")

    # -- those that change nothing

    def _ping(self, request: list[bytes]) -> bytes:
        return b"+PONG\r\n" if len(request) == 1 else resp.bulk(request[1])

    def _echo(self, request: list[bytes]) -> bytes:
        return resp.bulk(request[1])

    def _get(self, request: list[bytes]) -> bytes:
        return resp.bulk(self.values.get(request[1]))

    def _exists(self, request: list[bytes]) -> bytes:
        return resp.number(sum(key in self.values for key in request[1:]))

    def _dbsize(self, _request: list[bytes]) -> bytes:
        return resp.number(len(self.values))

    # -- those that change something

    def _set(self, request: list[bytes]) -> bytes:
        # Behind key and value come EX, NX and the like: to ignore them would be worse.
        if len(request) > len(("SET", "key", "value")):
            raise CommandError("ERR syntax error")
        self.values[request[1]] = request[2]
        return resp.OK

    def _mset(self, request: list[bytes]) -> bytes:
        if len(request) % 2 == 0:
            raise CommandError("ERR wrong number of arguments for 'mset' command")
        self.values.update(zip(request[1::2], request[2::2], strict=True))
        return resp.OK

    def _delete(self, request: list[bytes]) -> bytes:
        return resp.number(sum(self.values.pop(key, None) is not None for key in request[1:]))

    def _increment(self, request: list[bytes]) -> bytes:
        text = self.values.get(request[1], b"0")
        digits = text.removeprefix(b"-")
        if not digits.isdigit() or len(text) > resp.DIGITS_MAX or str(int(text)).encode() != text:
            raise CommandError("ERR value is not an integer or out of range")
        value = int(text)
        if not INTEGER_MIN <= value <= INTEGER_MAX:
            raise CommandError("ERR value is not an integer or out of range")
        if value == INTEGER_MAX:
            raise CommandError("ERR increment or decrement would overflow")
        self.values[request[1]] = b"%d" % (value + 1)
        return resp.number(value + 1)

    # -- what clients ask before they begin

    def _command(self, _request: list[bytes]) -> bytes:
        return resp.array([])

    def _config(self, request: list[bytes]) -> bytes:
        if request[1].upper() != b"GET":
            raise CommandError("ERR CONFIG has GET alone here")
        known = {b"save": b"", b"appendonly": b"yes"}
        return resp.array([x for name in request[2:] if name in known for x in (name, known[name])])

    def _client(self, request: list[bytes]) -> bytes:
        if request[1].upper() in (b"SETNAME", b"SETINFO"):
            return resp.OK
        raise CommandError("ERR CLIENT has SETNAME and SETINFO alone here")

    def _hello(self, request: list[bytes]) -> bytes:
        if len(request) > 1 and request[1] != b"2":
            raise CommandError("NOPROTO unsupported protocol version")
        texts = [b"server", b"kv_server", b"version", b"1", b"proto"]
        return b"*6\r\n" + b"".join(map(resp.bulk, texts)) + resp.number(2)

    def _select(self, request: list[bytes]) -> bytes:
        if request[1] != b"0":
            raise CommandError("ERR DB index is out of range")
        return resp.OK

    def _shutdown(self, _request: list[bytes]) -> bytes:
        self.is_over = True
        return b""  # as Redis: the connection ends


MANY = resp.ARGUMENTS_MAX

COMMANDS: dict[bytes, tuple[Callable[[Commands, list[bytes]], bytes], int, int, bool]] = {
    b"PING": (Commands._ping, 1, 2, False),
    b"ECHO": (Commands._echo, 2, 2, False),
    b"GET": (Commands._get, 2, 2, False),
    b"EXISTS": (Commands._exists, 2, MANY, False),
    b"DBSIZE": (Commands._dbsize, 1, 1, False),
    b"SET": (Commands._set, 3, MANY, True),
    b"MSET": (Commands._mset, 3, MANY, True),
    b"DEL": (Commands._delete, 2, MANY, True),
    b"INCR": (Commands._increment, 2, 2, True),
    b"COMMAND": (Commands._command, 1, MANY, False),
    b"CONFIG": (Commands._config, 3, MANY, False),
    b"CLIENT": (Commands._client, 2, MANY, False),
    b"HELLO": (Commands._hello, 1, MANY, False),
    b"SELECT": (Commands._select, 2, 2, False),
    b"SHUTDOWN": (Commands._shutdown, 1, MANY, False),
}
"""Name: what it does, how many words it has at least and at most, whether it is logged."""
