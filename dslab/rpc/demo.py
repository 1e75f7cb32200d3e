"""A demonstration: the ten steps of one call, and what an error says about whether the call happened.

Client and server are in one process here, and talk over a real socket; each tells its own steps. Then the
same call is drawn as the runs of the labs are: between the two is a link, whose arrows are labelled by
`wire.describe_steps`, and the steps that do not cross the wire are marks beside who tells them.

Source: ch. 4, Remote procedure call (basic operation).
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

from dslab.kit.address import Address
from dslab.kit.errors import PeerError
from dslab.kit.links import LinkSpec, LinksThread
from dslab.kit.trace import event
from dslab.kit.trace.recorder import Recorder, read
from dslab.kit.trace.text import draw_text
from dslab.rpc.client import Client, connect
from dslab.rpc.codecs import codec_named
from dslab.rpc.explain import ExplainingCodec, Write, explaining
from dslab.rpc.server_threads import serving
from dslab.rpc.service import Service

IN_SHORT = {
    1: "call", 2: "build message", 4: "to the stub", 5: "unpack, call", 6: "execute, return",
    7: "build message", 9: "to the stub", 10: "unpack, return",
}  # fmt: skip


class Bank:
    """What is served."""

    def __init__(self) -> None:
        self.closing = Event()

    def add(self, amount: int, interest: int) -> int:
        """Add two numbers."""
        return amount + interest

    def ponder(self) -> None:
        """Take longer than anybody waits."""
        self.closing.wait(60)

    def break_down(self) -> None:
        """Raise an exception of a type that the client does not know."""
        raise type("VaultJammed", (Exception,), {})("the door does not open")


def main(write: Write = print) -> None:
    """Show one call, step by step and in a picture, and three that fail."""
    write("add(100, 3), step by step:")
    with explained(write) as address, connect(address, explain=write) as client:
        client.call("add", 100, 3)
    write("\nThe same in a picture:")
    write(picture())
    write("\nDid it happen?")
    bank = Bank()
    with served(bank) as (_, address), connect(address) as client:
        for method in ("withdraw", "break_down", "ponder"):
            if method == "ponder":
                client.timeout_s = 1.0  # there is no answer to be waited for
            write(f"{method:>12}: {outcome(client, method)}")
        bank.closing.set()


@contextmanager
def served(bank: Bank) -> Iterator[tuple[Service, Address]]:
    """Serve a bank."""
    service = Service(codec_named("msgpack"), random.getrandbits(62))
    service.objects.register(bank)
    with serving(Address("127.0.0.1", 0), service) as address:
        yield service, address


@contextmanager
def explained(write: Write) -> Iterator[Address]:
    """Serve a bank, and tell the server's steps."""
    with served(Bank()) as (service, address):
        service.codec = ExplainingCodec(service.codec, "server", write)
        service.objects.interceptors.append(explaining(write))
        yield address


def picture() -> str:
    """Draw one call."""
    epoch_s = time.time()
    with TemporaryDirectory() as folder, LinksThread(0) as links, links.client() as control:
        crossed, told = Path(folder, "crossed"), Path(folder, "told")
        with Recorder(told, epoch_s) as recorder, explained(partial(mark, recorder, "server")) as address:
            control.begin(crossed, epoch_s)
            link = control.open(link_to(address))
            with connect(link, explain=partial(mark, recorder, "client")) as client:
                client.call("add", 100, 3)
            control.end()
        return draw_text(read(crossed, told)).plain


def link_to(server: Address) -> LinkSpec:
    """Give a link between the client and the server."""
    return LinkSpec(
        name="client->server",
        source="client",
        target="server",
        listen=Address("127.0.0.1", 0),
        upstreams=(server,),
        framing="dslab.rpc.wire:frames",
        describe="dslab.rpc.wire:describe_steps",
    )


def mark(recorder: Recorder, who: str, step: str) -> None:
    """Put a step on record, in short. Steps 3 and 8 are arrows."""
    number = int(step[:2])
    if number in IN_SHORT:
        label = f"{number} {IN_SHORT[number]}"
        recorder.record(event.Event(t_s=recorder.now(), link=who, kind=event.Kind.MARK, label=label))


def outcome(client: Client, method: str) -> str:
    """Call a procedure that fails: gives what is known."""
    try:
        client.call(method)
    except PeerError as error:
        return f"{error.happened.value:<16} {type(error).__name__}: {error.message}"
    return "happened"
