"""A demonstration: the ten steps of one call, and what an error says about whether the call happened.

Client and server are in one process here, and talk over a real socket; each tells its own steps.

Source: ch. 4, Remote procedure call (basic operation).
"""

from __future__ import annotations

import random
from threading import Event

from dslab.kit.address import Address
from dslab.kit.errors import PeerError
from dslab.rpc.client import Client, connect
from dslab.rpc.codecs import codec_named
from dslab.rpc.explain import ExplainingCodec, Write, explaining
from dslab.rpc.server_threads import serving
from dslab.rpc.service import Service


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
    """Show one call, step by step, and three that fail."""
    bank = Bank()
    service = Service(codec_named("msgpack"), random.getrandbits(62))
    service.objects.register(bank)
    with serving(Address("127.0.0.1", 0), service) as address:
        write("add(100, 3), step by step:")
        plain = service.codec
        service.codec = ExplainingCodec(plain, "server", write)
        service.objects.interceptors.append(explaining(write))
        with connect(address, explain=write) as client:
            client.call("add", 100, 3)
        service.codec = plain
        service.objects.interceptors.clear()
        write("\nDid it happen?")
        with connect(address, timeout_s=0.2) as client:
            for method in ("withdraw", "break_down", "ponder"):
                write(f"{method:>12}: {outcome(client, method)}")
            bank.closing.set()


def outcome(client: Client, method: str) -> str:
    """Call a procedure that fails: gives what is known."""
    try:
        client.call(method)
    except PeerError as error:
        return f"{error.happened.value:<16} {type(error).__name__}: {error.message}"
    return "happened"
