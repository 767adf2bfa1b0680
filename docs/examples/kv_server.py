"""A server that speaks the Redis protocol, and whose data survive a crash.

    python kv_server.py data.log --port 6379 --fsync always

With `--fsync always` whoever has got a reply can rely on it, and on all that the reply tells: it
leaves when everything that was done before it is durable. What all clients ask for in one tick of
the event loop becomes one record of the log, and the records of the ticks that pass while the disk
is at work become its next commit (`GroupCommit`): the disk is asked once for many clients.

With `everysec` a crash of the machine, not of the server, may take the last second or two; with
`never` as much as the system has kept in memory.

The log grows until somebody writes it anew, and all data are in memory. Without arguments the
program starts a server on a free port, and talks to it.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import resp
from kv_commands import Commands
from write_ahead_log import WriteAheadLog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Append = Callable[[bytes], Awaitable[object]]

# A client that is owed more is not listened to until it has read.
OWED_BYTES_MAX = 1 << 20
OPENING_SECONDS_MAX = 60  # another server may have the log, and a long one takes time
RECORD_BYTES_MAX = 1 << 20  # a longer record is begun anew, also in mid-tick


class LazyLog(WriteAheadLog):
    """A log that returns when a record is written, and syncs it later."""

    async def begin(self) -> None:
        self._turn = asyncio.Lock()  # first come, first served: records stay in their order
        self._written = self._synced = self.end

    async def write(self, payload: bytes) -> None:
        record = self.encode(payload)
        async with self._turn:
            await self.uring_file.write_all_at(record, self._written)
            self._written += len(record)

    async def sync_each(self, seconds: float) -> None:
        """Sync again and again, until an error comes."""
        while True:
            await asyncio.sleep(seconds)
            written = self._written
            if written > self._synced:
                await self.uring_file.fdatasync()
                self._synced = written


class Client(asyncio.Protocol):
    """One connection: requests in, replies out, in their order."""

    transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        self._server = server
        self._requests = resp.Requests()
        self._replies: list[bytes] = []
        self._owed = 0  # bytes of replies that wait for the log
        self._is_paused = False  # the client does not read
        self._is_listening = True
        self._is_ending = False  # when it has its replies

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self._server.clients.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._is_ending = True
        self._server.clients.discard(self)

    def data_received(self, data: bytes) -> None:
        self._requests.feed(data)
        self._advance()

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._advance()

    def _advance(self) -> None:
        """Carry out what has arrived, as far as the client takes the replies."""
        execute, requests = self._server.execute, self._requests
        while not self._is_ending and self._may_owe_more():
            try:
                request = requests.next()
                if request is None:
                    break
                reply = execute(request) if request else b""
            except resp.ProtocolError as error:
                self._is_ending = True
                reply = resp.error(f"ERR Protocol error: {error}")
            self._replies.append(reply)
            self._owed += len(reply)
        self._listen(not self._is_ending and self._may_owe_more())
        if self._replies:
            self._server.has_replies(self)

    def _may_owe_more(self) -> bool:
        return self._owed < OWED_BYTES_MAX and not self._is_paused

    def _listen(self, wanted: bool) -> None:
        if wanted != self._is_listening and not self.transport.is_closing():
            self._is_listening = wanted
            (self.transport.resume_reading if wanted else self.transport.pause_reading)()

    def take_replies(self) -> bytes:
        replies, self._replies = b"".join(self._replies), []
        return replies

    def send(self, replies: bytes) -> None:
        """Let replies go whose time has come."""
        self._owed -= len(replies)
        if not self.transport.is_closing():
            self.transport.write(replies)
            if self._is_ending and not self._owed:
                self.transport.close()
            elif not self._is_listening:
                self._advance()


class Server:
    """All clients, what they work on, and its log.

    ended: done when the server is to end, with the error if it must.
    """

    def __init__(self, commands: Commands, append: Append) -> None:
        self.clients: set[Client] = set()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._commands = commands
        self._append = append
        self._failure: BaseException | None = None
        self._answered: dict[Client, None] = {}  # in this tick
        self._logged = 0  # bytes, in this tick
        self._tick_end: asyncio.Handle | None = None
        # What waits for the log, tick by tick: the replies that leave when it is durable.
        self._ticks: deque[list[tuple[Client, bytes]]] = deque()
        self._settling: set[asyncio.Task[None]] = set()

    def execute(self, request: list[bytes]) -> bytes:
        """Carry out a request."""
        commands = self._commands
        before = len(commands.log)
        reply = commands.execute(request)
        if len(commands.log) > before:
            self._logged += len(commands.log[-1])
            if self._logged > RECORD_BYTES_MAX:
                self._end_record()
        if commands.is_over and not self.ended.done():
            self.ended.set_result(None)
        return reply

    def has_replies(self, client: Client) -> None:
        """Have a client's replies sent when the log admits it."""
        self._answered[client] = None
        if self._tick_end is None:
            self._tick_end = asyncio.get_running_loop().call_soon(self._end_tick)

    def _end_tick(self) -> None:
        self._tick_end = None
        if self._commands.log:
            self._end_record()
        answered = [(client, client.take_replies()) for client in self._answered]
        self._answered.clear()
        if self._ticks:  # they may tell of what is not durable yet
            self._ticks[-1].extend(answered)
        else:
            _send(answered)

    def _end_record(self) -> None:
        record = b"".join(self._commands.log)
        self._commands.log.clear()
        self._logged = 0
        self._ticks.append([])
        task = asyncio.get_running_loop().create_task(self._settle(record))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _settle(self, record: bytes) -> None:
        """Log a record, then send what waits for it. Records end in the order of their calls."""
        try:
            await self._append(record)
        except OSError as error:
            # What is in memory is not in the log: nobody may hear of it.
            self.fail(error)
            return
        _send(self._ticks.popleft())

    def fail(self, error: BaseException) -> None:
        """End, without another reply."""
        self._failure = error
        for client in self.clients:
            client.transport.abort()
        if not self.ended.done():
            self.ended.set_exception(error)

    def syncing_ended(self, task: asyncio.Task[None]) -> None:
        """End if a sync has failed: what clients were told may be lost."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(error)

    async def aclose(self) -> None:
        """Send what waits for the log, and end the connections."""
        if self._tick_end is not None:
            self._tick_end.cancel()
            self._end_tick()
        await asyncio.gather(*self._settling)
        if self._failure is not None:
            raise self._failure
        for client in self.clients:
            client.transport.close()


def _send(answered: list[tuple[Client, bytes]]) -> None:
    for client, replies in answered:
        client.send(replies)


async def serve(options: argparse.Namespace, log: LazyLog, append: Append) -> None:
    """Serve until somebody wants it to end, or the log fails."""
    commands = Commands()
    for record in log.recovered:
        commands.recover(record.payload)
    log.recovered.clear()
    loop = asyncio.get_running_loop()
    server = Server(commands, append)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _end, server)
    syncing = None
    if options.fsync == "everysec":
        syncing = loop.create_task(log.sync_each(1.0))
        syncing.add_done_callback(server.syncing_ended)
    listener = await loop.create_server(lambda: Client(server), options.host, options.port)
    print(f"ready on {options.host}:{listener.sockets[0].getsockname()[1]}", flush=True)
    try:
        await server.ended
    finally:
        listener.close()
        if syncing is not None:
            syncing.cancel()
    await server.aclose()
    await log.uring_file.fdatasync()


def _end(server: Server) -> None:
    if not server.ended.done():
        server.ended.set_result(None)


async def run(options: argparse.Namespace) -> None:
    """Open the log, and serve."""
    opening = LazyLog.open(options.log, driver=options.driver)
    async with await asyncio.wait_for(opening, OPENING_SECONDS_MAX) as log:
        await log.begin()
        await serve(options, log, log.append if options.fsync == "always" else log.write)


def parse_options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="a small server of the Redis protocol")
    parser.add_argument("log", help="the log's file; created if it is not there")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=6379, help="0: a free one, which is printed")
    parser.add_argument("--fsync", choices=("always", "everysec", "never"), default="everysec")
    parser.add_argument("--driver", help="as of asyncuring.open_file")
    return parser.parse_args(arguments)


def start(main: Callable[[argparse.Namespace], Any], arguments: list[str]) -> None:
    """Run `main` on uvloop, or on asyncio's own loop where that is not installed."""
    options = parse_options(arguments)
    try:
        import uvloop  # noqa: PLC0415  not everybody has it
    except ImportError:
        asyncio.run(main(options))
    else:
        uvloop.run(main(options))


async def demonstrate(options: argparse.Namespace) -> None:
    """Start a server as a process of its own, and talk to it."""
    command = [sys.executable, __file__, options.log, "--port", "0", "--fsync", "always"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    address = (await process.stdout.readline()).decode().split()[-1]
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        for request in ("SET greeting hello", "GET greeting", "INCR visits", "SHUTDOWN"):
            writer.write(request.encode() + b"\r\n")
            print(request, "->", await reader.read(4096))
        writer.close()
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        if len(sys.argv) > 1:
            start(run, sys.argv[1:])
        else:
            start(demonstrate, ["example-kv.log"])
