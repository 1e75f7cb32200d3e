"""The server: asyncio moves the bytes, `protocol.Spaces` decides.

All requests that one ``recv`` brings are served before anything is written, and what is then to be said to
a connection goes out in one piece. A durable server first writes down what has changed, once for all
connections that had something to say (`journal`): no reply leaves before what it tells of is on disk.

What no client may do to the server:

- Make it grow: a message has a longest length; a client that does not read its replies is not read from;
  one that subscribed and does not read is dropped when `MAX_UNSENT_BYTES` wait for it (`peer`).
- End it, or hold up the others: malformed bytes end their connection alone.
- Take a tuple with it: a client that has gone, or has closed its side, is handed nothing (`Peer.is_there`).

Source: ch. 3, Servers; ch. 2, Shared data spaces.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path

from dslab.kit.address import Address
from dslab.kit.errors import MachineError
from dslab.kit.stopping import stop_event
from dslab.linda.journal import Journal
from dslab.linda.messages import DEFAULT_MAX_MESSAGE_BYTES, Refused, append, decode_request
from dslab.linda.peer import HIGH_WATER_BYTES, MAX_UNSENT_BYTES, Peer
from dslab.linda.protocol import Sends, Spaces

__all__ = ["MAX_UNSENT_BYTES", "Options", "Server", "serve", "serving"]

BACKLOG = 1024
RECEIVE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Options:
    """How a server serves.

    Attributes:
        token: What clients must know; empty for nothing.
        data: The folder of a durable space; None for one that ends with its server.
        max_message_bytes: The longest message that is taken.
    """

    token: str = ""
    data: Path | None = None
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES


class Server:
    """Serves spaces to every connection.

    Attributes:
        buffer: Where received bytes come (`peer.Serves`).
        max_message_bytes: The longest message that is taken.
        failed: Ends in an error when the server must end: its disk takes no more.
    """

    def __init__(self, options: Options) -> None:
        self.max_message_bytes = options.max_message_bytes
        self.options = options
        self.buffer = memoryview(bytearray(RECEIVE_BYTES))
        self._clock_s = time.time() - time.monotonic()  # leases outlive the process and its clock
        self._peers: dict[int, Peer] = {}
        self._unsent: dict[int, bytearray] = {}
        self._unsent_bytes = 0
        self._closed = False
        self._flushes = False
        self._next_connection = 1
        self._timer: asyncio.Handle | None = None
        self._timer_s = inf  # uvloop's handle does not know its time, if that is at once
        self._spaces = Spaces(token=options.token, alive=self._is_there, durable=options.data is not None)
        self._journal = Journal(options.data, self._spaces) if options.data else None
        self._loop = asyncio.get_running_loop()
        self.failed: asyncio.Future[None] = self._loop.create_future()

    # ---- what a connection calls

    def connect(self, peer: Peer, name: str) -> int:
        """Take a connection: gives its number."""
        connection = self._next_connection
        self._next_connection += 1
        self._peers[connection] = peer
        self._spaces.connect(connection, name)
        return connection

    def receive(self, peer: Peer, body: bytes | memoryview) -> None:
        """Serve a request.

        Raises:
            MalformedMessage: It is none.
        """
        now_s = time.monotonic() + self._clock_s
        self._send(self._spaces.receive(peer.number, decode_request(body), now_s))
        if not peer.admitted:
            peer.admitted = self._spaces.admitted(peer.number)
            if not peer.admitted:
                peer.part()
        if self._unsent_bytes > HIGH_WATER_BYTES:
            self._sync()

    def refuse(self, peer: Peer, reason: str) -> None:
        """Say why a connection is about to be dropped."""
        self._send([(peer.number, Refused(0, reason))])

    def disconnect(self, peer: Peer) -> None:
        """Take the end of a connection."""
        del self._peers[peer.number]
        if self._closed:
            return  # transactions are undone by the next server that reads the journal
        self._unsent.pop(peer.number, None)
        self._send(self._spaces.disconnect(peer.number, self._now_s()))
        self.flush()

    def flush(self) -> None:
        """Say what is to be said; a durable server as soon as the other connections have been heard."""
        if self._journal is None:
            self._write()
        elif not self._flushes:
            self._flushes = True
            self._loop.call_soon(self._sync)

    def close(self) -> None:
        """Drop everybody."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._sync()
        if self._journal is not None:
            self._journal.close()
        for peer in list(self._peers.values()):
            peer.drop()

    # ---- inside

    def _send(self, sends: Sends) -> None:
        for connection, message in sends:
            unsent = self._unsent.get(connection)
            if unsent is None:
                unsent = self._unsent[connection] = bytearray()
            size = len(unsent)
            if size < MAX_UNSENT_BYTES:
                append(message, unsent)
                self._unsent_bytes += len(unsent) - size
            elif connection in self._peers:
                self._peers[connection].drop()

    def _sync(self) -> None:
        """Write down what has changed, then say what is to be said."""
        self._flushes = False
        if self.failed.done():  # the log may end in half a record: nothing more is written, or said
            return
        try:
            if self._journal is not None:
                self._journal.write(self._spaces.changes())
        except OSError as error:  # memory is ahead of the disk now: say nothing, start again from disk
            self._fail(error)
            return
        self._write()

    def _write(self) -> None:
        unsent, self._unsent, self._unsent_bytes = self._unsent, {}, 0
        for connection, data in unsent.items():
            peer = self._peers.get(connection)
            if peer is not None:
                peer.write(data)
        deadline_s = self._spaces.deadlines.next_s
        if deadline_s != inf:
            self._set_timer(deadline_s - self._clock_s)

    def _fail(self, error: OSError) -> None:
        self.failed.set_exception(MachineError(f"Cannot write {self.options.data}: {error.strerror}."))

    def _is_there(self, connection: int) -> bool:
        peer = self._peers.get(connection)
        return peer is not None and peer.is_there()

    def _now_s(self) -> float:
        return time.monotonic() + self._clock_s

    def _set_timer(self, at_s: float) -> None:
        if self._timer is not None:
            if self._timer_s <= at_s:
                return
            self._timer.cancel()
        self._timer, self._timer_s = self._loop.call_at(at_s, self._tick), at_s

    def _tick(self) -> None:
        self._timer = None
        self._send(self._spaces.tick(self._now_s()))
        self.flush()


@asynccontextmanager
async def serving(address: Address, options: Options) -> AsyncIterator[tuple[Address, Server]]:
    """Serve at an address (port 0 takes any free one) until the block ends: gives the real address.

    Raises:
        MachineError: The address is not to be had, or the folder of the journal.
    """
    server = Server(options)
    loop = asyncio.get_running_loop()
    try:
        listener = await loop.create_server(lambda: Peer(server), *address.pair, backlog=BACKLOG)
    except OSError as error:
        server.close()
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        remedy = "Take an address of this machine and a free port; port 0 is any."
        raise MachineError(f"Cannot listen on {address}: {reason}.", remedy=remedy) from error
    try:
        yield Address(*listener.sockets[0].getsockname()[:2]), server
    finally:
        listener.close()
        server.close()
        await asyncio.sleep(0)  # connections end in the loop's next round


async def serve(address: Address, options: Options) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    with stop_event() as stopped:
        async with serving(address, options) as (bound, server):
            print(f"listening on {bound}", flush=True)  # noqa: T201
            server.failed.add_done_callback(lambda _: stopped.set())
            await stopped.wait()
            if server.failed.done():
                server.failed.result()
