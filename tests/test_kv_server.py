"""The example of a server: the protocol by a real socket, and what its log is for."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import resp

from tests.kv import SERVER, Connection, finish, server, words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PONG, OK, NIL = b"+PONG\r\n", b"+OK\r\n", b"$-1\r\n"
EVERY_BYTE = bytes(range(256))


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    with server(tmp_path / "log", "--fsync", "always") as (process, number):
        yield number
        process.terminate()
        assert finish(process) == (0, "")


@pytest.fixture
def client(port: int) -> Iterator[Connection]:
    connection = Connection(port)
    with connection.socket:
        yield connection


def test_commands(client: Connection) -> None:
    client.ask(words("PING"), PONG)
    client.ask(words("ping", "hello"), b"$5\r\nhello\r\n")
    client.ask(words("ECHO", EVERY_BYTE), b"$256\r\n" + EVERY_BYTE + b"\r\n")
    client.ask(words("GET", "a"), NIL)
    client.ask(words("SET", "a", EVERY_BYTE), OK)
    client.ask(words("get", "a"), b"$256\r\n" + EVERY_BYTE + b"\r\n")
    client.ask(words("MSET", "b", "", "c", "9"), OK)
    client.ask(words("EXISTS", "a", "b", "a", "nothing"), b":3\r\n")
    client.ask(words("INCR", "c"), b":10\r\n")
    client.ask(words("INCR", "new"), b":1\r\n")
    client.ask(words("DBSIZE"), b":4\r\n")
    client.ask(words("DEL", "a", "b", "nothing"), b":2\r\n")
    client.ask(words("DBSIZE"), b":2\r\n")
    client.ask(words("CONFIG", "GET", "save"), b"*2\r\n$4\r\nsave\r\n$0\r\n\r\n")
    client.ask(words("COMMAND", "DOCS"), b"*0\r\n")
    client.ask(words("CLIENT", "SETNAME", "me"), OK)
    client.ask(words("HELLO", "3"), b"-NOPROTO unsupported protocol version\r\n")
    client.send(words("HELLO", "2") + words("PING"))
    assert client.receive(4 + 12 + 15 + 13 + 7 + 11 + 4 + 7).endswith(b":2\r\n" + PONG)


@pytest.mark.parametrize(
    ("request_words", "error"),
    [
        (["NOSUCH", "a"], b"-ERR unknown command 'NOSUCH'\r\n"),
        (["GET"], b"-ERR wrong number of arguments for 'get' command\r\n"),
        (["SET", "a"], b"-ERR wrong number of arguments for 'set' command\r\n"),
        (["SET", "a", "b", "EX", "1"], b"-ERR syntax error\r\n"),
        (["MSET", "a", "b", "c"], b"-ERR wrong number of arguments for 'mset' command\r\n"),
        (["INCR", "text"], b"-ERR value is not an integer or out of range\r\n"),
        (["INCR", "most"], b"-ERR increment or decrement would overflow\r\n"),
        (["SELECT", "1"], b"-ERR DB index is out of range\r\n"),
    ],
)
def test_errors_are_as_from_redis_and_change_nothing(
    client: Connection, request_words: list[str], error: bytes
) -> None:
    client.ask(words("MSET", "text", "12a", "most", str(2**63 - 1)), OK)
    client.ask(words(*request_words), error)
    client.ask(words("DBSIZE"), b":2\r\n")


def test_inline_requests(client: Connection) -> None:
    client.ask(b"PING\r\n", PONG)
    client.ask(b"\r\n\n  PING  \n", PONG)
    client.ask(b'SET "a key" \'and "its" value\'\r\n', OK)
    client.ask(b'GET "a key"\r\n', b'$15\r\nand "its" value\r\n')
    client.ask(words("GET", "a key") + b"PING\n", b'$15\r\nand "its" value\r\n' + PONG)
    client.ask(b"*0\r\n*-1\r\nPING\r\n", PONG)


def test_requests_may_come_in_any_pieces(client: Connection) -> None:
    requests = words("SET", "key", EVERY_BYTE) + b"PING\r\n" + words("GET", "key")
    expected = OK + PONG + b"$256\r\n" + EVERY_BYTE + b"\r\n"
    for size in (1, 2, 3, 7, 100):
        for start in range(0, len(requests), size):
            client.send(requests[start : start + size])
        assert client.receive(len(expected)) == expected


def test_any_pieces_make_the_same_requests() -> None:
    data = words("SET", "key", EVERY_BYTE) + b"PING\r\n*0\r\n" + words("GET", "key", "") + b"\n"
    expected = [[b"SET", b"key", EVERY_BYTE], [b"PING"], [], [b"GET", b"key", b""], []]
    for first in range(len(data) + 1):
        for second in {first, min(first + 1, len(data)), (first + len(data)) // 2}:
            requests, found = resp.Requests(), []
            for piece in (data[:first], data[first:second], data[second:]):
                requests.feed(piece)
                while (request := requests.next()) is not None:
                    found.append(request)
            assert found == expected


def test_a_pipeline_of_a_thousand_is_answered_in_its_order(client: Connection) -> None:
    requests, replies = [], []
    for number in range(1000):
        requests += [words("SET", f"key {number % 10}", f"value {number:4}")]
        requests += [words("GET", f"key {number % 10}"), b"PING\r\n", words("INCR", "count")]
        replies += [OK, f"$10\r\nvalue {number:4}\r\n".encode(), PONG, b":%d\r\n" % (number + 1)]
    client.ask(b"".join(requests), b"".join(replies))


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (b"*2\r\n$3\r\nGET\r\n$%d\r\n" % (resp.BULK_BYTES_MAX + 1), b"invalid bulk length"),
        (b"*1\r\n$-5\r\n", b"invalid bulk length"),
        (b"*%d\r\n" % (resp.ARGUMENTS_MAX + 1), b"invalid multibulk length"),
        (b"*1x\r\n", b"invalid multibulk length"),
        (b"*1\r\n+OK\r\n", b"expected '$', got '+'"),
        (b"P" * (resp.INLINE_BYTES_MAX + 1), b"too big inline request"),
        (b'GET "a\r\n', b"unbalanced quotes in request"),
    ],
)
def test_what_is_no_request_ends_the_connection(
    port: int, client: Connection, request_: bytes, error: bytes
) -> None:
    client.send(b"PING\r\n" + request_)
    assert client.end() == PONG + b"-ERR Protocol error: " + error + b"\r\n"
    other = Connection(port)
    with other.socket:
        other.ask(words("PING"), PONG)


def test_a_request_has_a_bound() -> None:
    requests = resp.Requests()
    count = resp.REQUEST_BYTES_MAX // resp.BULK_BYTES_MAX + 1
    requests.feed(b"*%d\r\n" % count)
    for _ in range(count - 1):
        requests.feed(b"$%d\r\n" % resp.BULK_BYTES_MAX + bytes(resp.BULK_BYTES_MAX) + b"\r\n")
        assert requests.next() is None
    requests.feed(b"$1\r\n")
    with pytest.raises(resp.ProtocolError, match="invalid bulk length"):
        requests.next()


def test_a_client_that_goes_away_half_way_leaves_nothing(port: int, client: Connection) -> None:
    request = words("SET", "half", "value")
    for length in (len(request) - 1, len(request) // 2, 1):
        other = Connection(port)
        with other.socket:
            other.send(request[:length])
    client.ask(words("GET", "half"), NIL)
    client.ask(words("DBSIZE"), b":0\r\n")


def test_a_client_that_does_not_read_is_not_listened_to(port: int, client: Connection) -> None:
    value = bytes(1 << 20)
    client.ask(words("SET", "large", value), OK)
    slow = Connection(port)
    with slow.socket:
        count = 60
        slow.send(words("GET", "large") * count)
        reply = b"$%d\r\n" % len(value) + value + b"\r\n"
        client.ask(words("PING"), PONG)
        for _ in range(count):
            assert slow.receive(len(reply)) == reply
        slow.ask(words("PING"), PONG)


@pytest.mark.parametrize("fsync", ["always", "everysec", "never"])
@pytest.mark.parametrize("driver", ["uring", "threads"])
def test_what_was_set_is_there_after_a_restart(
    request: pytest.FixtureRequest, tmp_path: Path, fsync: str, driver: str
) -> None:
    if driver == "uring":
        request.getfixturevalue("uring")
    options = ("--fsync", fsync, "--driver", driver)
    for turn in range(3):
        with server(tmp_path / "log", *options) as (process, port):
            client = Connection(port)
            with client.socket:
                client.ask(words("DBSIZE"), b":%d\r\n" % (3 if turn else 0))
                client.ask(words("INCR", "turns"), b":%d\r\n" % (turn + 1))
                client.ask(
                    words("MSET", "a", str(turn), "b", EVERY_BYTE) + words("DEL", "x"),
                    OK + b":0\r\n",
                )
                client.send(words("SHUTDOWN"))
                assert client.end() == b""
            assert finish(process) == (0, "")


def test_a_torn_end_of_the_log_is_cut_off(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with server(log, "--fsync", "always") as (process, port):
        client = Connection(port)
        with client.socket:
            for number in range(5):
                client.ask(words("SET", str(number), "value"), OK)
        process.kill()
        finish(process)
    content = log.read_bytes()
    for cut in (1, 10, 40):
        log.write_bytes(content[:-cut])
        with server(log) as (process, port):
            client = Connection(port)
            with client.socket:
                client.ask(words("EXISTS", "0", "1", "2", "3", "4"), b":4\r\n")


def test_a_second_server_waits_for_the_log(tmp_path: Path) -> None:
    command = [sys.executable, str(SERVER), str(tmp_path / "log"), "--port", "0"]
    with server(tmp_path / "log", "--fsync", "always") as (first, port):
        client = Connection(port)
        with (
            client.socket,
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as second,
        ):
            assert second.stdout is not None
            client.ask(words("SET", "a", "1"), OK)
            first.kill()
            ready = second.stdout.readline()
            other = Connection(int(ready.rpartition(":")[2]))
            with other.socket:
                other.ask(words("GET", "a"), b"$1\r\n1\r\n")
            second.kill()


def test_a_log_that_cannot_be_written_ends_the_server(tmp_path: Path) -> None:
    with server(tmp_path / "log", "--fsync", "always") as (process, port):
        client = Connection(port)
        with client.socket:
            client.ask(words("SET", "a", "1"), OK)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (200, 200))
            client.send(words("SET", "b", bytes(1000)) + words("GET", "b"))
            assert client.end() == b""  # for what is not in the log nobody may hear of
        status, errors = finish(process)
        assert status != 0
        assert "in the commit" in errors


@pytest.mark.parametrize("program", ["redis-cli", "redis-benchmark"])
def test_redis_own_clients(port: int, program: str) -> None:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed (Debian: redis-tools)")
    options = {
        "redis-cli": ["INCR", "visits"],
        "redis-benchmark": [
            *("-n", "400", "-c", "10", "-P", "4"),
            *("--csv", "-t", "ping,set,get,incr,mset"),
        ],
    }[program]
    done = subprocess.run(
        [path, "-p", str(port), *options], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stderr == ""
    if program == "redis-cli":
        assert done.stdout == "1\n"
    else:
        tests = [line.split(",")[0].strip('"') for line in done.stdout.splitlines()]
        names = ["test", "PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"]
        assert tests == names
