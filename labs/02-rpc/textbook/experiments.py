"""Answers three of the handout's predictions, with our server and our client.

Usage: python labs/02-rpc/textbook/experiments.py
"""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dslab.kit.errors import PeerError
from dslab.rpc.client import Client, connect
from dslab.rpc.messages import Context, Request
from dslab.rpc.msgpack_rpc import MsgpackCodec

REFERENCE = Path(__file__).parent.parent / "reference.py"
PATIENCE_S = 20


def main() -> None:
    """Run them all."""
    other_order()
    with running_server() as address:
        with client_of(address) as alice, client_of(address) as bob:
            two_copies(alice, bob)
            two_references(alice, bob)
        sent_twice(address)


def other_order() -> None:
    """A number in the byte order of this machine's processor, read in the other one."""
    little = struct.pack("<q", 5)
    print(f"byte order: 5 is {little.hex(' ')} here, and {struct.unpack('>q', little)[0]} over there")


def two_copies(alice: Client, bob: Client) -> None:
    """Copy-in/copy-out: each reads the page, writes on the copy, and gives the copy back."""
    copies = {
        name: client.call("notebook.read", "copied") for name, client in (("alice", alice), ("bob", bob))
    }
    for name, client in (("alice", alice), ("bob", bob)):
        client.call("notebook.write", "copied", [*copies[name], name])
    print(f"two copies: on the page stands {alice.call('notebook.read', 'copied')}")


def two_references(alice: Client, bob: Client) -> None:
    """The same with a reference."""
    for name, client in (("alice", alice), ("bob", bob)):
        page = client.call("notebook.page", "shared")["ref"]
        client.call(f"{page}.append", name)
    print(f"two references: on the page stands {alice.call('notebook.read', 'shared')}")


def sent_twice(address: str) -> None:
    """A request of which the network makes two, without and with the identity of the call."""
    codec = MsgpackCodec()
    host, _, port = address.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.settimeout(PATIENCE_S)
        channel.connect((host, int(port)))

        def twice(request: Request) -> list[int]:
            for _ in range(2):
                channel.send(codec.encode(request))
            return [codec.decode(channel.recv(1500)).result for _ in range(2)]

        print(f"sent twice: the counter says {twice(Request(1, 'counter.add', [1]))}")
        channel.send(codec.encode(Request(2, "rpc.hello", [])))
        session, _window = codec.decode(channel.recv(1500)).result
        request = Request(3, "counter.add", [1], Context(session, 1, 1))
        print(f"sent twice, with an identity: the counter says {twice(request)}")


@contextmanager
def client_of(address: str) -> Iterator[Client]:
    """Our client."""
    with connect(address, transport="udp", semantics="at-least-once", timeout_s=PATIENCE_S) as client:
        yield client


@contextmanager
def running_server() -> Iterator[str]:
    """Our server, ready: its address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free, tempfile.TemporaryDirectory() as folder:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        free.close()
        server = subprocess.Popen([sys.executable, "-P", str(REFERENCE), address, folder])
        try:
            wait_for(address)
            yield address
        finally:
            server.terminate()
            server.wait()


def wait_for(address: str) -> None:
    """Ask until somebody answers."""
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        with suppress(PeerError), connect(address, transport="udp", timeout_s=0.2) as client:
            client.call("calculator.divide", 1, 1)
            return
    sys.exit("The server did not start.")


if __name__ == "__main__":
    main()
