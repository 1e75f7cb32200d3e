"""Our server, for your clients to talk with: dslab's own server stub over UDP. Nothing to be filled in.

Usage: python -P reference.py HOST:PORT FOLDER

It offers what `objects.py` has. Its window is the smallest: a client may have one call that it has not
acknowledged. With the setting ``chatter`` it answers nothing, and sends responses that nobody has asked for.
"""

from __future__ import annotations

import random
import runpy
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dslab.rpc.messages import MAX_DATAGRAM_BYTES, MalformedMessage, Notification, Request, Response
from dslab.rpc.msgpack_rpc import MsgpackCodec
from dslab.rpc.service import Limits, Service

WINDOW = 1
CHATTER_S, PAUSE_S = 30.0, 0.02
OBJECTS = Path(__file__).with_name("objects.py")


@dataclass(frozen=True)
class Client:
    """Where a reply goes."""

    listener: socket.socket
    address: tuple[str, int]
    service: Service

    def send(self, response: Response) -> None:
        """Send a reply, once."""
        self.listener.sendto(self.service.encode(response), self.address)


class References:
    """Pages travel as ``{"ref": name}``; everything else as a copy.

    Args:
        service: Offers each page by its name.
        page: The class.
    """

    def __init__(self, service: Service, page: type) -> None:
        self._service = service
        self._page = page
        self._pages: dict[str, Any] = {}
        self._names = random.Random("pages")  # no name that one would think of, and the same in every run

    def out(self, value: Any) -> Any:
        """What travels of a result."""
        if not isinstance(value, self._page):
            return value
        for name, page in self._pages.items():
            if page is value:
                return {"ref": name}
        name = f"page-{self._names.randrange(10**6)}"
        self._pages[name] = value
        self._service.objects.register(value, name)
        return {"ref": name}

    def into(self, value: Any) -> Any:
        """What an argument means here."""
        match value:
            case {"ref": str(name), **others} if not others and name in self._pages:
                return self._pages[name]
            case _:
                return value


def main() -> None:
    """Serve for ever."""
    host, _, port = sys.argv[1].rpartition(":")
    objects = runpy.run_path(str(OBJECTS))  # not imported: a neighbour of that name would not be ours
    service = Service(MsgpackCodec(), random.getrandbits(62), Limits(window=WINDOW))
    for name, served in objects["offered"](sys.argv[2]).items():
        service.objects.register(served, name)
    references = References(service, objects["Page"])
    setting = Path(sys.argv[2]) / "setting"
    chatters = setting.exists() and setting.read_text(encoding="utf-8") == "chatter"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind((host, int(port)))
        while True:
            datagram, address = listener.recvfrom(MAX_DATAGRAM_BYTES)
            client = Client(listener, address, service)
            if chatters:
                chatter(client, datagram)
            else:
                answer(service, references, client, datagram)


def answer(service: Service, references: References, client: Client, datagram: bytes) -> None:
    """Decide about a datagram: execute it, answer it from the cache, or drop it."""
    try:
        order = service.receive(client, service.codec.decode(datagram))
    except MalformedMessage:
        return
    match order:
        case Request(params=list(params)):
            meant = Request(order.id, order.method, [*map(references.into, params)], order.context)
            outcome = service.execute(client, meant, 0.0)
            assert isinstance(outcome, Response)
            reply = Response(outcome.id, outcome.error, references.out(outcome.result))
            for who, response in service.finish(client, order, reply):
                who.send(response)
        case Notification():
            service.notice(client, order)
        case Response():
            client.send(order)


def chatter(client: Client, datagram: bytes) -> None:
    """Send, again and again, the response to another request than the one that came."""
    request = client.service.codec.decode(datagram)
    assert isinstance(request, Request)
    assert isinstance(request.id, int)
    deadline_s = time.monotonic() + CHATTER_S
    while time.monotonic() < deadline_s:
        client.send(Response(request.id ^ 1, None, "nobody has asked for that"))
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    main()
