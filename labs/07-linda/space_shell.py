"""A server around your tuple space. The sockets and bytes are here; nothing to fill in.

Usage: python space_shell.py HOST:PORT matching.py|tuple_space.py

With matching.py (step 7.1) it is a shelf: it keeps what is put, and lists what your `matches` says a template
matches. With tuple_space.py (step 7.2) it serves your `Space`. It speaks the protocol of dslab.linda, so that
every client of that can use it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from functools import partial
from typing import Any, NamedTuple

from matching import matches
from tuple_space import Request, Space

from dslab.kit.address import Address
from dslab.linda.messages import (
    LENGTH,
    Blocked,
    Done,
    Found,
    FromClient,
    FromServer,
    Hello,
    In,
    List,
    Listed,
    NewSpace,
    Nothing,
    Out,
    Rd,
    Refused,
    Waiting,
    WaitsFor,
    decode_request,
    encode,
    frames,
)
from dslab.linda.values import KINDS, Fields, Formal, from_wire, show, to_wire

TYPES: dict[str, type] = {kind: type_ for type_, kind in KINDS.items()} | {"*": object}


def with_types(field: Any) -> Any:
    """A field of a template as the client wrote it: its formals are types again."""
    if isinstance(field, Formal):
        return TYPES[field.kind]
    return tuple(map(with_types, field)) if isinstance(field, tuple) else field


class Shelf(list[Fields]):
    """Tuples that are only looked at."""

    def out(self, fields: Fields) -> None:
        self.append(fields)


class Look(NamedTuple):
    """What a client waits for, and where."""

    space: Space
    request: Request
    message: In | Rd
    since_s: float


class Server:
    """What all connections share: and the error that ends the program."""

    def __init__(self, kind: type[Shelf] | type[Space]) -> None:
        self.kind = kind
        self.spaces = [kind()]
        self.connections: list[Connection] = []
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def new_space(self) -> int:
        """Make another space; its number."""
        self.spaces.append(self.kind())
        return len(self.spaces) - 1

    def looks(self) -> list[Look]:
        """What all clients wait for."""
        return [look for connection in self.connections for look in connection.waiting.values()]


class Connection(asyncio.Protocol):
    """One client: its requests, and which of them still wait for an answer."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.buffer = bytearray()
        self.waiting: dict[int, Look] = {}
        self.answered: set[int] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.server.connections.append(self)

    def data_received(self, data: bytes) -> None:
        """Serve what has come whole. An error in your space ends the program, which says why."""
        self.buffer += data
        try:
            while (end := frames(self.buffer)) is not None:
                body = bytes(self.buffer[LENGTH.size : end])
                del self.buffer[:end]
                self.serve(decode_request(body))
        except Exception as error:  # noqa: BLE001  whatever it is, main() raises it
            self.fail(error)

    def connection_lost(self, error: Exception | None) -> None:
        """The client has gone, and with it all that it waits for."""
        self.server.connections.remove(self)
        try:
            for look in self.waiting.values():
                look.space.forget(look.request)
        except Exception as problem:  # noqa: BLE001  see above
            self.fail(problem)
        self.waiting.clear()

    def fail(self, error: Exception) -> None:
        if not self.server.failed.done():
            self.server.failed.set_exception(error)

    def serve(self, message: FromClient) -> None:
        match message:
            case Hello(request=number):
                self.send(Done(number))
            case NewSpace(request=number):
                self.send(Done(number, self.server.new_space()))
            case Out(request=number, space=space, fields=fields):
                self.server.spaces[space].out(from_wire(fields))
                self.send(Done(number))
            case In() | Rd() | List():
                self.find(message)
            case Waiting(request=number):
                self.send(Blocked(number, list(map(waits_for, self.server.looks()))))
            case _:
                self.send(Refused(message.request, f"No {type(message).__name__} here."))

    def find(self, message: In | Rd | List) -> None:
        template = with_types(from_wire(message.template, template=True))
        match message, self.server.spaces[message.space]:
            case List(request=number), Shelf() as shelf:
                found = [fields for fields in shelf if matches(template, fields)]
                self.send(Listed(number, [to_wire(fields) for fields in found], len(found)))
            case In() | Rd(), Space() as space:
                self.look(message, space, template)
            case _:
                self.send(Refused(message.request, f"No {type(message).__name__} in here."))

    def look(self, message: In | Rd, space: Space, template: Fields) -> None:
        number = message.request
        request = Request(template, takes=isinstance(message, In), answer=partial(self.answer, number))
        self.waiting[number] = Look(space, request, message, time.monotonic())
        space.look(request)
        if number in self.waiting and message.wait_s is not None:
            self.wait_no_longer_than(message.wait_s, number)

    def wait_no_longer_than(self, wait_s: float, number: int) -> None:
        if wait_s == 0:
            self.give_up(number)
        else:
            asyncio.get_running_loop().call_later(wait_s, self.give_up, number)

    def answer(self, number: int, fields: Fields) -> None:
        """What your space calls, once. A client that has gone, or has waited long enough, gets nothing."""
        if number in self.answered:
            raise RuntimeError(f"answer was called twice for one request, now with {show(fields)}")
        if self.waiting.pop(number, None):
            self.answered.add(number)
            self.send(Found(number, to_wire(fields)))

    def give_up(self, number: int) -> None:
        if number in self.waiting:
            look = self.waiting.pop(number)
            look.space.forget(look.request)
            self.send(Nothing(number))

    def send(self, message: FromServer) -> None:
        self.transport.write(encode(message))


def waits_for(look: Look) -> WaitsFor:
    """A look as `python -m dslab.linda waiting` shows it."""
    waited_s = time.monotonic() - look.since_s
    left_s = None if look.message.wait_s is None else look.message.wait_s - waited_s
    template = show(from_wire(look.message.template, template=True))
    verb = "in" if look.request.takes else "rd"
    return WaitsFor("a client", verb, look.message.space, template, waited_s, "", left_s)


async def main() -> None:
    """Serve until the end, or until an error in your space."""
    address = Address.parse(sys.argv[1])
    server = Server(Shelf if sys.argv[2] == "matching.py" else Space)
    await asyncio.get_running_loop().create_server(lambda: Connection(server), address.host, address.port)
    print(f"listening on {address}", flush=True)
    await server.failed


if __name__ == "__main__":
    asyncio.run(main())
